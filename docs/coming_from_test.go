package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/suite"
	"github.com/txn2/amp/internal/tryout"
	"github.com/txn2/amp/test/freeport"
)

// TestComingFrom runs the endpoint of docs/coming-from with its suite. The overview shows that very file.
func TestComingFrom(t *testing.T) {
	code, err := os.ReadFile("coming-from/workspace.py")
	if err != nil {
		t.Fatal(err)
	}
	if shown := blocks(pages(t)["docs/coming-from/README.md"], "python"); len(shown) != 1 || shown[0] != string(code) {
		t.Error("coming-from/README.md does not show workspace.py as it is")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("skipped: python3 is not installed")
	}
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	endpoint := exec.CommandContext(t.Context(), python, "workspace.py")
	endpoint.Dir, endpoint.Env = "coming-from", append(os.Environ(), "PORT="+port)
	var said strings.Builder
	endpoint.Stderr = &said
	if err := endpoint.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- endpoint.Wait() }()
	t.Cleanup(func() {
		_ = endpoint.Process.Kill()
		<-ended
	})
	if err := answers("127.0.0.1:"+port, ended); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	cases, err := suite.Load(filepath.Join("coming-from", "tests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	asker, err := tryout.NewAsker("", "")
	if err != nil {
		t.Fatal(err)
	}
	report := suite.Report{}
	report.Add(suite.Run(t.Context(), cases, suite.Options{Asker: asker, Endpoints: []string{"http://127.0.0.1:" + port + "/"}, Parallel: 4, Timeout: 20 * time.Second}))
	for _, r := range report.Results {
		if !r.Passed {
			var text strings.Builder
			_ = report.WriteText(&text)
			t.Fatal(text.String())
		}
	}
}

// TestComingFromPolicy decodes the page's policy and its binding strictly. TestTheSameRule, in test/e2e, applies them.
func TestComingFromPolicy(t *testing.T) {
	into := []any{&admissionregistrationv1.MutatingAdmissionPolicy{}, &admissionregistrationv1.MutatingAdmissionPolicyBinding{}}
	shown := blocks(pages(t)["docs/coming-from/mutating-admission-policy.md"], "yaml")
	if len(shown) != len(into) {
		t.Fatalf("the page shows %d objects, want a policy and a binding", len(shown))
	}
	for i, block := range shown {
		if err := yaml.UnmarshalStrict([]byte(block), into[i]); err != nil {
			t.Errorf("%v\n%s", err, block)
		}
	}
}
