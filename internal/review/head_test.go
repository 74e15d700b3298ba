package review_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

// compact is a review as the API server writes it, without white space.
func compact(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// headOf is what the first bytes of a body may say of a review.
func headOf(r *review.Review) *review.Review {
	return &review.Review{UID: r.UID, Phase: r.Phase, Namespace: r.Namespace, Name: r.Name, GenerateName: r.GenerateName, User: r.User,
		Unhandled: r.Unhandled, FromNode: r.FromNode}
}

// TestReadHeadOfEachLength cuts the recorded reviews at every byte. What amp reads is what it reads of the whole review, or
// absent; and it has all of it once the Pod begins.
func TestReadHeadOfEachLength(t *testing.T) {
	names, err := filepath.Glob("testdata/*.review.json")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), ".review.json")
		t.Run(name, func(t *testing.T) {
			body := compact(t, recorded(t, name))
			whole, err := review.Read(body, review.Validate)
			if err != nil {
				t.Fatal(err)
			}
			want := headOf(whole)
			uid, pod := bytes.Index(body, []byte(`,"kind":{`)), bytes.Index(body, []byte(`"object":`))
			for n := range len(body) + 1 {
				got, err := review.ReadHead(body[:n:n], review.Validate)
				if n >= uid && err != nil || n < uid && err == nil {
					t.Fatalf("%d bytes: %v, %v", n, got, err)
				}
				if err != nil {
					continue
				}
				if n >= pod {
					if n < len(body) && got.GenerateName == "" {
						got.GenerateName = want.GenerateName // it is in the Pod
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("%d bytes, which hold all but the Pod (-want +got):\n%s", n, diff)
					}
				}
				agree(t, want, got)
			}
		})
	}
}

// agree fails unless each field of head is that of want, or absent.
func agree(t *testing.T, want, head *review.Review) {
	t.Helper()
	same := func(name, whole, head string) {
		if head != "" && head != whole {
			t.Fatalf("%s: the head says %q, the whole review %q", name, head, whole)
		}
	}
	same("uid", want.UID, head.UID)
	same("namespace", want.Namespace, head.Namespace)
	same("name", want.Name, head.Name)
	same("generateName", want.GenerateName, head.GenerateName)
	same("user", want.User, head.User)
	same("unhandled", want.Unhandled, head.Unhandled)
	if head.FromNode && !want.FromNode {
		t.Fatalf("the head says %+v, the whole review %+v", head, want)
	}
}

func TestReadHeadTellsWhatItNeedNotDecide(t *testing.T) {
	const begin = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u"`
	for name, test := range map[string]struct {
		head      string
		unhandled bool
		fromNode  bool
	}{
		"a Pod of a node":                     {begin + `,` + podResource + `,"operation":"CREATE","userInfo":{"username":"system:node:a","groups":["system:nodes"`, false, true},
		"a Pod of a node, groups cut before":  {begin + `,` + podResource + `,"operation":"CREATE","userInfo":{"username":"system:node:a","groups":["system:nodes`, false, false},
		"an UPDATE":                           {begin + `,` + podResource + `,"operation":"UPDATE","x`, true, false},
		"the operation comes later":           {begin + `,` + podResource + `,"operat`, false, false},
		"the resource comes later":            {begin + `,"operation":"CREATE","reso`, false, false},
		"the resource is cut":                 {begin + `,"operation":"CREATE","resource":{"group":"","version":"v1","reso`, false, false},
		"the name of the resource is cut":     {begin + `,"operation":"CREATE","resource":{"group":"","version":"v1","resource":"po`, false, false},
		"a Deployment, without the operation": {begin + `,"resource":{"group":"apps","version":"v1","resource":"deployments"},`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := review.ReadHead([]byte(test.head), review.Mutate)
			if err != nil {
				t.Fatal(err)
			}
			if (r.Unhandled != "") != test.unhandled || r.FromNode != test.fromNode {
				t.Errorf("read %+v", r)
			}
		})
	}
}

func TestReadHeadOfWhatIsNoReview(t *testing.T) {
	for name, head := range map[string]string{
		"nothing":                    ``,
		"text":                       `hello, this is`,
		"a Pod":                      `{"kind":"Pod","apiVersion":"v1","metadata":{"uid":"u"`,
		"an end without a begin":     `}{"kind":"AdmissionReview"`,
		"a wrong end":                `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u"]`,
		"a uid that is cut":          `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u`,
		"a uid that ends in a quote": `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u\"`,
		"a uid after the Pod":        `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"object":{"metadata":{"uid":"u"},"spec":{"x":"` + strings.Repeat("x", 20_000),
		"brackets":                   strings.Repeat("[", 16<<10),
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := review.ReadHead([]byte(head), review.Mutate); err == nil {
				t.Errorf("read %+v", r)
			}
		})
	}
}

// FuzzReadHead: the first bytes of a review never say something else than the whole review.
func FuzzReadHead(f *testing.F) {
	for _, name := range []string{"jupyterhub-user", "worker-generate-name", "dry-run"} {
		body := compact(f, recorded(f, name))
		for _, n := range []int{0, 100, 400, 700, 900, len(body)} {
			f.Add(body, n)
		}
	}
	f.Add([]byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"\"\\","a":[{},[1,-2e3,true,null]],"name":12}}`), 99)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		n = min(max(n, 0), len(body))
		head, headErr := review.ReadHead(body[:n:n], review.Mutate)
		whole, err := review.Read(body, review.Mutate)
		if err != nil || repeats(body) {
			return
		}
		want := headOf(whole)
		if headErr == nil {
			agree(t, want, head)
		}
		all, err := review.ReadHead(body, review.Mutate)
		if (err == nil) != (want.UID != "") {
			t.Fatalf("the whole review has uid %q; ReadHead: %v", want.UID, err)
		}
		if err == nil && all.Unhandled == "" {
			all.Unhandled = want.Unhandled // where a part is missing, the head leaves it open
			all.FromNode = want.FromNode
		}
		if err == nil && !cmp.Equal(want, all) {
			t.Fatalf("of the whole review (-want +got):\n%s", cmp.Diff(want, all))
		}
	})
}

// repeats reports whether an object of a JSON text has two members with one name. Then the last one counts, which no
// beginning of the text can know.
func repeats(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	var value func() bool
	value = func() bool {
		token, err := d.Token()
		if err != nil {
			return false
		}
		seen := map[string]bool{}
		switch token {
		case json.Delim('{'):
			for d.More() {
				key, err := d.Token()
				if err != nil {
					return false
				}
				name := fmt.Sprint(key)
				if seen[name] {
					return true
				}
				seen[name] = true
				if value() {
					return true
				}
			}
			_, _ = d.Token()
		case json.Delim('['):
			for d.More() {
				if value() {
					return true
				}
			}
			_, _ = d.Token()
		}
		return false
	}
	return value()
}
