package patch_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/txn2/amp/internal/patch"
)

// readPod is the object of a review that a kube-apiserver 1.36 sent.
func readPod(t testing.TB, name string) json.RawMessage {
	t.Helper()
	pod, err := os.ReadFile(filepath.Join("testdata", name+".pod.json"))
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func same(a, b string) bool { return patch.Same(json.RawMessage(a), json.RawMessage(b)) }
