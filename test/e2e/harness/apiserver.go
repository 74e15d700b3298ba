package harness

import (
	"context"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// apiName is the name in the API server's certificate.
const apiName = "localhost"

// APIServer is a kube-apiserver with its etcd, on loopback.
type APIServer struct {
	URL   string
	Etcd  *Service
	Ports struct{ API, Etcd int } // where they listen

	dir, program string
	reached      string // the address at which amp reaches the API server
	ca           *Authority
	admin        Pair
	args         []string
	server       *process
}

// startAPIServer starts both and waits until the API server is ready. amp reaches the API server at the address.
func startAPIServer(dir string, p programs, address string) (*APIServer, error) {
	a := &APIServer{dir: dir, program: p.apiserver, reached: address, ca: NewAuthority("cluster-ca")}
	a.admin = a.ca.Issue(pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})

	a.Ports.API, a.Ports.Etcd = FreePort(), FreePort()
	client, peer := "http://127.0.0.1:"+strconv.Itoa(a.Ports.Etcd), "http://127.0.0.1:"+strconv.Itoa(FreePort())
	a.Etcd = &Service{Address: strings.TrimPrefix(client, "http://"), dir: dir, name: "etcd", program: p.etcd, args: []string{
		"--data-dir=" + filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
	}}
	if err := a.Etcd.Start(); err != nil {
		return a, err
	}

	serving, tokens := a.ca.Issue(pkix.Name{CommonName: "kube-apiserver"}, apiName), newKey()
	bind, port := "127.0.0.1", strconv.Itoa(a.Ports.API)
	if address != bind {
		bind = "0.0.0.0" // in a network namespace of the test's own
	}
	a.URL = "https://127.0.0.1:" + port
	a.args = []string{
		"--etcd-servers=" + client,
		"--bind-address=" + bind, "--advertise-address=" + address, "--secure-port=" + port,
		"--endpoint-reconciler-type=none", // loopback is not allowed as the address of the kubernetes Service
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=Node,RBAC",
		// Nothing here creates the default ServiceAccount, for which this plugin would make every Pod wait.
		"--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
	}
	for flag, content := range map[string][]byte{
		"client-ca-file":                   a.ca.PEM,
		"tls-cert-file":                    serving.Certificate,
		"tls-private-key-file":             serving.Key,
		"service-account-key-file":         encodePublic(tokens),
		"service-account-signing-key-file": encodeKey(tokens),
	} {
		path := filepath.Join(dir, flag+".pem")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return a, err
		}
		a.args = append(a.args, "--"+flag+"="+path)
	}
	if err := a.keepAudit(); err != nil {
		return a, err
	}
	return a, a.start()
}

func (a *APIServer) start() (err error) {
	if a.server, err = start(a.dir, "kube-apiserver", a.program, nil, a.args...); err != nil {
		return err
	}
	client := kubernetes.NewForConfigOrDie(a.Config()).Discovery().RESTClient()
	return poll(3*time.Minute, func(ctx context.Context) error {
		if a.server.ended() {
			return permanent(fmt.Errorf("kube-apiserver ended: %s", a.server.lastWords()))
		}
		return client.Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// Restart ends the API server as a crash does, and starts it again at the same address. On SIGTERM it would wait a
// minute for amp's watch and go on serving it.
func (a *APIServer) Restart() error {
	a.server.kill()
	return a.start()
}

// Pause makes the API server hang until Resume.
func (a *APIServer) Pause() { a.server.pause() }

// Resume ends Pause.
func (a *APIServer) Resume() { a.server.resume() }

// With gives the API server more flags until the test ends. It restarts it for that; see Restart.
func (a *APIServer) With(t *testing.T, flags ...string) {
	t.Helper()
	before := a.args
	t.Cleanup(func() {
		a.args = before
		if err := a.Restart(); err != nil {
			t.Errorf("restarting the API server: %v", err)
		}
	})
	a.args = append(slices.Clone(before), flags...)
	if err := a.Restart(); err != nil {
		t.Fatalf("restarting the API server with %q: %v", flags, err)
	}
}

// stop ends the API server before etcd, because the API server waits minutes for an etcd that is gone.
func (a *APIServer) stop() error {
	if a.Etcd == nil || a.server == nil {
		return nil
	}
	err := a.server.stop(90 * time.Second)
	a.Etcd.Kill() // there is nothing to keep
	return err
}

// PID is the process ID of the kube-apiserver.
func (a *APIServer) PID() int { return a.server.cmd.Process.Pid }

// Version is the version of Kubernetes that the API server says it is.
func (a *APIServer) Version(t *testing.T) *version.Version {
	t.Helper()
	info, err := kubernetes.NewForConfigOrDie(a.Config()).Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	return version.MustParseSemantic(info.GitVersion)
}

// Needs skips a test if the API server serves the group and version, but without the kind.
func (a *APIServer) Needs(t *testing.T, groupVersion, kind string) {
	t.Helper()
	served, err := kubernetes.NewForConfigOrDie(a.Config()).Discovery().ServerResourcesForGroupVersion(groupVersion)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
		t.Skipf("Kubernetes %s has no %s in %s", a.Version(t), kind, groupVersion)
	}
}

// Admin is the certificate of the client with all rights.
func (a *APIServer) Admin() Pair { return a.admin }

// CA is the certificate of the authority that signed the API server's, PEM.
func (a *APIServer) CA() []byte { return a.ca.PEM }

// Config is the configuration of a client with all rights.
func (a *APIServer) Config() *rest.Config {
	return &rest.Config{
		Host:            a.URL,
		QPS:             -1, // the tests limit their own rate
		TLSClientConfig: rest.TLSClientConfig{CAData: a.ca.PEM, CertData: a.admin.Certificate, KeyData: a.admin.Key},
	}
}
