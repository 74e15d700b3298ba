package harness

import (
	"context"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// APIServer is a kube-apiserver with its etcd, on loopback.
type APIServer struct {
	URL string

	dir, program string
	ca           *Authority
	admin        Pair
	args         []string
	etcd, server *process
}

// startAPIServer starts both and waits until the API server is ready.
func startAPIServer(dir string, p programs) (*APIServer, error) {
	a := &APIServer{dir: dir, program: p.apiserver, ca: NewAuthority("cluster-ca")}
	a.admin = a.ca.Issue(pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})

	client, peer := "http://127.0.0.1:"+strconv.Itoa(freePort()), "http://127.0.0.1:"+strconv.Itoa(freePort())
	var err error
	a.etcd, err = start(dir, "etcd", p.etcd, nil,
		"--data-dir="+filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	if err != nil {
		return a, err
	}

	serving, tokens := a.ca.Issue(pkix.Name{CommonName: "kube-apiserver"}, "localhost"), newKey()
	port := strconv.Itoa(freePort())
	a.URL = "https://127.0.0.1:" + port
	a.args = []string{
		"--etcd-servers=" + client,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + port,
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
	return poll(60*time.Second, func(ctx context.Context) error {
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
	if a.etcd == nil || a.server == nil {
		return nil
	}
	err := a.server.stop(90 * time.Second)
	a.etcd.kill() // there is nothing to keep
	return err
}

// Config is the configuration of a client with all rights.
func (a *APIServer) Config() *rest.Config {
	return &rest.Config{
		Host:            a.URL,
		QPS:             -1, // the tests limit their own rate
		TLSClientConfig: rest.TLSClientConfig{CAData: a.ca.PEM, CertData: a.admin.Certificate, KeyData: a.admin.Key},
	}
}
