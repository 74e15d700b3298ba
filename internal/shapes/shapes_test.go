package shapes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// TestAll keeps what the shapes are for: each promise is about one of them.
func TestAll(t *testing.T) {
	all, err := shapes.All(review.Mutate)
	if err != nil {
		t.Fatal(err)
	}
	for what, is := range map[string]func(*review.Review) bool{
		"a dry run":           func(r *review.Review) bool { return r.DryRun },
		"a generateName":      func(r *review.Review) bool { return r.Name == "" && r.GenerateName != "" },
		"at least 200 KB":     func(r *review.Review) bool { return len(r.Pod) >= 200_000 },
		"no labels":           func(r *review.Review) bool { return len(r.Labels) == 0 },
		"a stamp":             func(r *review.Review) bool { return r.Stamp != "" },
		"a ReplicaSet's":      owner("ReplicaSet"),
		"a StatefulSet's":     owner("StatefulSet"),
		"a DaemonSet's":       owner("DaemonSet"),
		"a Job's":             owner("Job"),
		"a sidecar":           contains(`"restartPolicy":"Always","terminationMessagePath"`),
		"Windows":             contains(`"os":{"name":"windows"}`),
		"a field of tomorrow": contains("futureMode"),
		"KubeSpawner 7":       contains(`"hub.jupyter.org/kubespawner-version":"7`),
		"another user":        func(r *review.Review) bool { return !strings.HasPrefix(r.User, "system:") && r.User != "admin" },
	} {
		if !slices.ContainsFunc(all, func(s shapes.Shape) bool { return is(s.Review) }) {
			t.Errorf("no shape has %s", what)
		}
	}
	names, uids := map[string]bool{}, map[string]bool{}
	for _, s := range all {
		if names[s.Name] || uids[s.Review.UID] {
			t.Errorf("%s: another shape has its name or its uid", s.Name)
		}
		names[s.Name], uids[s.Review.UID] = true, true
		if s.Review.Unhandled != "" || s.Review.FromNode {
			t.Errorf("%s: amp would not forward it", s.Name)
		}
	}
}

func owner(kind string) func(*review.Review) bool {
	return func(r *review.Review) bool { return r.Controller != nil && r.Controller.Kind == kind }
}

func contains(text string) func(*review.Review) bool {
	return func(r *review.Review) bool { return strings.Contains(string(r.Pod), text) }
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a Pod":              {`{"kind":"Pod","metadata":{"name":"a"}}`, ""},
		"not JSON":           {`kind: Pod`, "not a JSON object"},
		"another kind":       {`{"kind":"Deployment"}`, `kind "Deployment"; expected a Pod or an AdmissionReview`},
		"a review of a node": {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"operation":"CREATE","resource":{"version":"v1","resource":"nodes"}}}`, "only the CREATE of v1/pods"},
		"a review of none":   {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"operation":"CREATE","resource":{"version":"v1","resource":"pods"}}}`, "no Pod"},
	} {
		s, err := shapes.Read(name, []byte(c.text), review.Mutate)
		switch {
		case c.want == "" && (err != nil || s.Review.Namespace != "default" || s.Review.Name != "a"):
			t.Errorf("%s: %+v, %v", name, s.Review, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		}
	}
}
