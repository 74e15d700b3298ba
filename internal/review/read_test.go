package review_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".review.json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestReadTakesWhatTheAPIServerRecorded(t *testing.T) {
	for name, want := range map[string]review.Review{
		"jupyterhub-user": {
			UID: "6dd84eb1-9610-42c8-9379-4f4257fa319f", Namespace: "jhub", Name: "jupyter-alice",
			Labels: map[string]string{
				"app": "jupyterhub", "component": "singleuser-server", "heritage": "jupyterhub",
				"hub.jupyter.org/servername": "", "hub.jupyter.org/username": "alice",
			},
		},
		"worker-generate-name": {
			UID: "32a45909-0309-41b9-9756-2d2eca13e4e1", Namespace: "rec", GenerateName: "worker-",
			Labels: map[string]string{"app": "worker"},
		},
		"dry-run": {
			UID: "ff8957bb-359d-4280-983e-2b813d2b9896", Namespace: "rec", Name: "dry", DryRun: true,
			Labels: map[string]string{"run": "dry"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := recorded(t, name)
			want.Phase, want.User = review.Mutate, "admin"
			var whole struct {
				Request struct{ Object json.RawMessage }
			}
			if err := json.Unmarshal(body, &whole); err != nil {
				t.Fatal(err)
			}
			want.Pod = whole.Request.Object // every byte of it

			got, err := review.Read(body, review.Mutate)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadOfWhatIsNoReview(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"an empty body":          {``, "expected an AdmissionReview as JSON: the body is not valid JSON"},
		"text":                   {`hello`, "expected an AdmissionReview as JSON: the body is not valid JSON"},
		"7 MiB of brackets":      {strings.Repeat("[", 7<<20), "expected an AdmissionReview as JSON: the body is not valid JSON"},
		"half a review":          {`{"kind":"AdmissionReview","apiVersion"`, "expected an AdmissionReview as JSON: the body is not valid JSON"},
		"an array":               {`[]`, `expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion "", kind ""`},
		"null":                   {`null`, `expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion "", kind ""`},
		"a Pod":                  {`{"kind":"Pod","apiVersion":"v1"}`, `expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion "v1", kind "Pod"`},
		"a review of v1beta1":    {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{}}`, `expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion "admission.k8s.io/v1beta1", kind "AdmissionReview"`},
		"a review of no request": {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`, "expected an AdmissionReview with a request: there is none"},
		"a null request":         {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}`, "expected an AdmissionReview with a request: there is none"},
		"a very long kind":       {`{"kind":"` + strings.Repeat("x", 1000) + `"}`, `expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion "", kind "` + strings.Repeat("x", 59) + `…"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := review.Read([]byte(test.body), review.Mutate)
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func request(fields string) []byte {
	return []byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{` + fields + `}}`)
}

const podResource = `"resource":{"group":"","version":"v1","resource":"pods"}`

func TestReadTellsWhatIsLeftAlone(t *testing.T) {
	for name, test := range map[string]struct {
		fields    string
		unhandled string
		fromNode  bool
	}{
		"the CREATE of a Pod is handled": {podResource + `,"operation":"CREATE","object":{}`, "", false},
		"an UPDATE":                      {podResource + `,"operation":"UPDATE","object":{}`, "only the CREATE of v1/pods is handled, not UPDATE of v1/pods: check the webhook's rules", false},
		"a binding":                      {podResource + `,"subResource":"binding","operation":"CREATE"`, "only the CREATE of v1/pods is handled, not CREATE of v1/pods/binding: check the webhook's rules", false},
		"a Deployment":                   {`"resource":{"group":"apps","version":"v1","resource":"deployments"},"operation":"CREATE"`, "only the CREATE of v1/pods is handled, not CREATE of apps/v1/deployments: check the webhook's rules", false},
		"a mirror Pod of a node":         {podResource + `,"operation":"CREATE","object":{},"userInfo":{"username":"system:node:a","groups":["system:nodes","system:authenticated"]}`, "", true},
		"a mirror annotation alone does not count": {podResource + `,"operation":"CREATE","object":{"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}}},"userInfo":{"groups":["system:authenticated"]}`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := review.Read(request(test.fields), review.Mutate)
			if err != nil {
				t.Fatal(err)
			}
			if r.Unhandled != test.unhandled || r.FromNode != test.fromNode {
				t.Errorf("unhandled %q, from a node %v; want %q, %v", r.Unhandled, r.FromNode, test.unhandled, test.fromNode)
			}
		})
	}
}

func TestReadTellsWhoAsksForAnExplanation(t *testing.T) {
	for annotations, want := range map[string]bool{
		`{"amp.txn2.com/explain":"true"}`: true, `{"amp.txn2.com/explain":" true\n"}`: true, `{"amp.txn2.com/explain":"false"}`: false, `{"explain":"true"}`: false, `null`: false,
	} {
		body := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","object":{"metadata":{"annotations":` + annotations + `}}}}`
		r, err := review.Read([]byte(body), review.Mutate)
		if err != nil || r.Explain != want {
			t.Errorf("%s: %v, %v", annotations, r.Explain, err)
		}
	}
}

func TestReadNamesTheController(t *testing.T) {
	r, err := review.Read(request(podResource+`,"operation":"CREATE","object":{"metadata":{"ownerReferences":[
		{"apiVersion":"v1","kind":"Node","name":"n","uid":"1"},
		{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-1","uid":"2","controller":true}]}}`), review.Validate)
	if err != nil {
		t.Fatal(err)
	}
	want := &review.Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-1", UID: "2"}
	if diff := cmp.Diff(want, r.Controller); diff != "" {
		t.Errorf("controller (-want +got):\n%s", diff)
	}
}

// TestTextsAreCut: what amp keeps besides the Pod is short, however long it came. The API server refuses such a Pod after its
// mutation, and a stranger may send anything.
func TestTextsAreCut(t *testing.T) {
	long := strings.Repeat("ä", 1_000_000)
	body := fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","namespace":"n","name":%[1]q,
		"operation":%[1]q,"subResource":%[1]q,"resource":{"group":%[1]q,"version":%[1]q,"resource":%[1]q},"userInfo":{"username":%[1]q,"groups":[%[1]q]},
		"object":{"metadata":{"generateName":%[1]q,"uid":%[1]q,"annotations":{"amp.txn2.com/event":%[1]q},
		"ownerReferences":[{"apiVersion":%[1]q,"kind":%[1]q,"name":%[1]q,"uid":%[1]q,"controller":true}]}}}}`, long)
	r, err := review.Read([]byte(body), review.Mutate)
	if err != nil {
		t.Fatal(err)
	}
	short := strings.Repeat("ä", 252) + "…"
	for name, got := range map[string]string{
		"name": r.Name, "generateName": r.GenerateName, "the Pod's uid": r.PodUID, "stamp": r.Stamp, "the owner's kind": r.Controller.Kind,
		"the owner's apiVersion": r.Controller.APIVersion, "the owner's name": r.Controller.Name, "the owner's uid": r.Controller.UID,
	} {
		if got != short {
			t.Errorf("%s has %d bytes", name, len(got))
		}
	}
	if r.User != strings.Repeat("ä", 1023)+"…" {
		t.Errorf("user has %d bytes", len(r.User))
	}
	if len(r.Unhandled) > 500 {
		t.Errorf("%d bytes say why it is not handled", len(r.Unhandled))
	}
	for _, field := range []string{"uid", "namespace"} {
		body := strings.Replace(body, `"`+field+`":"`, `"`+field+`":"`+strings.Repeat("x", 260), 1)
		if _, err := review.Read([]byte(body), review.Mutate); err == nil || !strings.Contains(err.Error(), "as an API server writes it") {
			t.Errorf("with a long %s: %v", field, err)
		}
	}
}

func TestManyLabels(t *testing.T) {
	for n, tooMany := range map[int]bool{review.MaxLabels: false, review.MaxLabels + 1: true, 100_000: true} {
		labels := make([]string, n)
		for i := range labels {
			labels[i] = fmt.Sprintf(`"a%d":"b"`, i)
		}
		body := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","object":{"metadata":{"labels":{` + strings.Join(labels, ",") + `},"name":"web"}}}}`
		r, err := review.Read([]byte(body), review.Mutate)
		if err != nil {
			t.Fatal(err)
		}
		if r.ManyLabels != tooMany || (r.Labels == nil) != tooMany || r.Name != "web" {
			t.Errorf("%d labels: too many %v, %d are read, the name is %q", n, r.ManyLabels, len(r.Labels), r.Name)
		}
	}
}
