package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ampserve "github.com/txn2/amp/internal/serve"
)

// TestAMutationMadeThroughTheProxyAppearsOnTheOpenPage has the real proxy in front: a review goes in, an
// endpoint answers, and what the auditor sees on a page that was open before is that mutation.
func TestAMutationMadeThroughTheProxyAppearsOnTheOpenPage(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	base := serve(t, s)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"PROJECT","value":"genome"}}]`)
	}))
	t.Cleanup(endpoint.Close)
	namespaces := filepath.Join(t.TempDir(), "namespaces.yaml")
	manifest := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: jhub\n  labels: {amp.txn2.com/enabled: \"true\"}\n  annotations: {amp.txn2.com/ep: %q}\n", endpoint.URL)
	if err := os.WriteFile(namespaces, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{
		"AMP_NAMESPACES_FILE": namespaces, "AMP_ENDPOINT_ALLOW": "127.0.0.0/8", "AMP_METRICS_ADDR": "off", "AMP_LOG_LEVEL": "error",
		"K_SINK": base + "/", "AMP_EVENTS_LEVEL": "Full",
	}
	proxy, err := ampserve.New(t.Context(), func(name string) string { return environment[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}

	b := newBrowser(t, 1280, 900)
	b.open(base + "/")
	b.wait(`document.querySelector("#state").textContent === "Live"`)
	b.eval(`window.same = true`) // gone with a reload

	pod, err := os.ReadFile("testdata/jupyterhub-user.pod.json")
	if err != nil {
		t.Fatal(err)
	}
	review, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": map[string]any{
		"uid": "6dd84eb1-9610-42c8-9379-4f4257fa319f", "namespace": "jhub", "name": "jupyter-alice", "operation": "CREATE",
		"resource": map[string]string{"version": "v1", "resource": "pods"}, "userInfo": map[string]string{"username": "hub"}, "object": json.RawMessage(pod),
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := do(t, proxy.Handler, http.MethodPost, "/mutate/fail", map[string]string{"Content-Type": "application/json"}, review)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"patchType":"JSONPatch"`) {
		t.Fatalf("amp answered %d %s", w.Code, w.Body)
	}

	b.wait(`document.querySelectorAll("#rows tr").length === 1 && window.same`)
	b.wait(`document.querySelector("#rows").innerText.includes("jupyter-alice")`)
	b.eval(`document.querySelector("#rows tr").click()`)
	b.wait(`document.querySelector("#detail[open]")?.innerText.includes("PROJECT") && document.querySelector("#detail[open]").innerText.includes("genome")`)
	b.clean()
}
