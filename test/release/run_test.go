package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// container runs an image for this machine's platform as a cluster would: its content, entry point, user and
// environment, on a read-only root. It ends with the test.
func container(t *testing.T, image string, mounted map[string]string, env ...string) (stop func() error) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: to run an image's content takes root")
	}
	_, index := pull(t, image)
	img := platforms(t, index)["linux/amd64"]
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range content(t, img) {
		write(t, filepath.Join(root, path), string(text), 0o555)
	}
	for path, text := range mounted {
		write(t, filepath.Join(root, path), text, 0o444)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", slices.Concat([]string{"--mount", "--propagation=private", "sh", "-euc",
		`mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; user=$1; shift; exec chroot --userspec="$user" --groups= "$0" "$@"`,
		root, config.Config.User}, config.Config.Entrypoint)...)
	cmd.Env = append(slices.Clone(config.Config.Env), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return <-ended
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // unless it was stopped
		if t.Failed() {
			t.Logf("it said:\n%s", said.String())
		}
	})
	return stop
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// freePort is a port on which no program listens, each time another one. It is below the range from which the kernel gives ports
// to connections, and those that other tests search.
func freePort(t *testing.T) string {
	t.Helper()
	for lastPort < 12_000 {
		lastPort++
		port := strconv.Itoa(lastPort)
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return port
		}
	}
	t.Fatal("no free port between 10000 and 12000 on loopback")
	return ""
}

var lastPort = 10_000

// ask returns the answer to a request. It waits until a program listens.
func ask(t *testing.T, method, url, body string) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s %s: %s %s %v", method, url, resp.Status, answer, err)
			}
			return string(answer)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestImageOfAmpRuns(t *testing.T) {
	port, metrics := freePort(t), freePort(t)
	stop := container(t, "amp", map[string]string{"namespaces.yaml": `apiVersion: v1
kind: Namespace
metadata:
  name: team-a
  labels: {amp.txn2.com/enabled: "true"}
  annotations: {amp.txn2.com/ep: "` + it.endpoint.URL + `"}
`},
		"PORT="+port, "AMP_METRICS_ADDR=127.0.0.1:"+metrics, "AMP_NAMESPACES_FILE=/namespaces.yaml",
		"AMP_ENDPOINT_ALLOW=127.0.0.0/8", "AMP_TIMEOUT=10s")
	amp := "http://127.0.0.1:" + port

	var who struct{ Service, Version string }
	if err := json.Unmarshal([]byte(ask(t, "GET", amp+"/", "")), &who); err != nil || who.Service != "amp" || who.Version != it.version {
		t.Errorf("GET / says %+v (%v), want version %s", who, err, it.version)
	}
	// It trusts what the base image trusts.
	review := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",
		"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"team-a","name":"p",
		"userInfo":{"username":"jane"},"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"team-a"},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	var answer struct {
		Response struct {
			Allowed bool
			Patch   []byte
		}
	}
	if said := ask(t, "POST", amp+"/mutate/fail", review); json.Unmarshal([]byte(said), &answer) != nil ||
		!answer.Response.Allowed || !bytes.Contains(answer.Response.Patch, []byte("over-tls")) {
		t.Errorf("a review is answered with %s", said)
	}
	if said := ask(t, "GET", "http://127.0.0.1:"+metrics+"/metrics", ""); !strings.Contains(said, `version="`+it.version+`"} 1`) || !strings.Contains(said, "amp_build_info{") {
		t.Errorf("amp_build_info does not say %s:\n%s", it.version, said)
	}
	if err := stop(); err != nil {
		t.Errorf("ending it: %v", err)
	}
}

func TestImageOfTheEndpointsRuns(t *testing.T) {
	port := freePort(t)
	stop := container(t, "amp-endpoints", nil, "PORT="+port)
	ask(t, "GET", "http://127.0.0.1:"+port+"/healthz", "")
	ask(t, "GET", "http://127.0.0.1:"+port+"/audit/", "") // with its database in memory
	if err := stop(); err != nil {
		t.Errorf("ending it: %v", err)
	}
}
