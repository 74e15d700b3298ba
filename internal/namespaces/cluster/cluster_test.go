package cluster

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// The watch itself is tested against a real API server, in test/e2e.

func meta(name, endpoint string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"amp.txn2.com/enabled": "true"}, Annotations: map[string]string{"amp.txn2.com/ep": endpoint},
		},
	}
}

func TestStoreFollowsTheWatch(t *testing.T) {
	s := &store{}
	endpoint := func(name string) string {
		p := s.get(name)
		if p == nil {
			return "unknown"
		}
		return p.Mutate[0].Name
	}
	for _, step := range []struct {
		what string
		do   func() error
		a, b string
	}{
		{"empty", func() error { return nil }, "unknown", "unknown"},
		{"added", func() error { return s.Add(meta("a", "http://1")) }, "http://1", "unknown"},
		{"updated", func() error { return s.Update(meta("a", "http://2")) }, "http://2", "unknown"},
		{"replaced", func() error { return s.Replace([]any{meta("b", "http://3")}, "7") }, "unknown", "http://3"},
		{"resynced", s.Resync, "unknown", "http://3"},
		{"deleted", func() error { return s.Delete(meta("b", "http://3")) }, "unknown", "unknown"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if a, b := endpoint("a"), endpoint("b"); a != step.a || b != step.b {
			t.Errorf("%s: a is %s, b is %s; want %s, %s", step.what, a, b, step.a, step.b)
		}
	}
	if err := s.Add("something else"); err == nil {
		t.Error("a string passes for a Namespace")
	}
}

// The reflector gathers the first list in a store of client-go's, which asks ours what to keep of each Namespace.
func TestTheFirstListKeepsOnlyPolicies(t *testing.T) {
	s := &store{}
	gathered := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(s.Transformer()))
	a := meta("a", "http://1")
	a.Annotations["example.com/large"] = strings.Repeat("x", 1000)
	for _, ns := range []any{a, meta("b", "http://2"), meta("b", "http://3")} {
		if err := gathered.Add(ns); err != nil {
			t.Fatal(err)
		}
	}
	list := gathered.List()
	for _, ns := range list {
		if p, ok := ns.(*parsed); !ok || len(p.Annotations)+len(p.Labels) > 0 {
			t.Errorf("%T with %v is kept until the list is complete", ns, p.Annotations)
		}
	}
	if err := s.Replace(list, "7"); err != nil {
		t.Fatal(err)
	}
	if s.get("a").Mutate[0].Name != "http://1" || s.get("b").Mutate[0].Name != "http://3" || len(s.policies) != 2 {
		t.Errorf("the store has %v", s.policies)
	}
	if err := gathered.Add("something else"); err == nil {
		t.Error("a string passes for a Namespace")
	}
}

func TestReadyByTheFirstListAlone(t *testing.T) {
	n, err := New(&rest.Config{Host: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if n.NotReady() == nil {
		t.Error("ready before anything was read")
	}
	if err := n.policies.Replace(nil, "7"); err != nil { // no namespace has opted in
		t.Fatal(err)
	}
	if err := n.NotReady(); err != nil {
		t.Errorf("not ready although Namespaces were listed: %v", err)
	}
}

func TestPolicyIsReadLiveOnAMissAndNotKept(t *testing.T) {
	var reads atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads.Add(1)
		if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
			t.Errorf("%s %s, Accept %s: want a GET of metadata", r.Method, r.URL, r.Header.Get("Accept"))
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/api/v1/namespaces/a" {
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Message: `namespaces "b" not found`, Code: 404})
			return
		}
		_ = json.NewEncoder(w).Encode(meta("a", "http://live"))
	}))
	defer server.Close()
	n, err := New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.NotReady(); err == nil || err.Error() != "no Namespace could be read yet" {
		t.Errorf("before anything was read: %v", err)
	}
	forbidden := error(apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, probed, errors.New("no right")))
	n.failed.Store(&forbidden)
	if err := n.NotReady(); err == nil || !strings.HasPrefix(err.Error(), "no Namespace could be read yet: namespaces \"") {
		t.Errorf("after a read failed: %v", err)
	}
	for range 2 {
		if p, err := n.Policy(t.Context(), "a"); err != nil || p.Mutate[0].Name != "http://live" {
			t.Errorf("a: %+v, %v", p, err)
		}
	}
	if reads.Load() != 2 {
		t.Errorf("%d reads, want one for each miss", reads.Load())
	}
	if err := n.NotReady(); err != nil {
		t.Errorf("not ready although a Namespace was read: %v", err)
	}
	if err := n.policies.Add(meta("a", "http://watched")); err != nil {
		t.Fatal(err)
	}
	if p, err := n.Policy(t.Context(), "a"); err != nil || p.Mutate[0].Name != "http://watched" || reads.Load() != 2 {
		t.Errorf("a, once the watch knows it: %+v, %v, %d reads", p, err, reads.Load())
	}
	if _, err := n.Policy(t.Context(), "b"); err == nil || err.Error() != `reading namespace b: namespaces "b" not found` {
		t.Errorf("b: %v", err)
	}
}

// The URL of the API server is not shown: a kubeconfig's may hold a password.
func TestPolicyOfAClusterThatIsAway(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.Listener.Addr().String()
	server.Close()
	n, err := New(&rest.Config{Host: "http://" + address + "/s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Policy(t.Context(), "a")
	if err == nil || err.Error() != "reading namespace a: dial tcp "+address+": connect: connection refused" {
		t.Errorf("error %v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Config("", "amp/v1"); err == nil || !strings.Contains(err.Error(), "set KUBECONFIG, or AMP_NAMESPACES_FILE") {
		t.Errorf("outside a cluster: %v", err)
	}
	if _, err := Config(filepath.Join(t.TempDir(), "none"), "amp/v1"); err == nil || !strings.HasPrefix(err.Error(), "finding the cluster: ") {
		t.Errorf("a kubeconfig that is not there: %v", err)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: c, cluster: {server: \"https://10.0.0.1:6443\"}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := Config(path, "amp/v1")
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://10.0.0.1:6443" || config.UserAgent != "amp/v1" || config.QPS >= 0 {
		t.Errorf("configuration %+v", config)
	}
}
