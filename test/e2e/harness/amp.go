package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ampService is the name of amp's Service. In a cluster the API server requires it in the certificate.
const ampService = "amp.amp-system.svc"

// Replica is one running process of amp.
type Replica struct {
	Address string
	metrics string // the address of its metrics
	process *process
	front   *Front
}

// StartReplica starts another replica of amp behind the front and waits until it is ready. more is added to its
// environment, as NAME=value.
func (w *World) StartReplica(more ...string) (*Replica, error) {
	r, err := w.Launch(more...)
	if err != nil {
		return nil, err
	}
	return r, r.UntilReady()
}

// Launch is StartReplica without waiting.
func (w *World) Launch(more ...string) (*Replica, error) {
	return w.launch(nil, FreePort(), "127.0.0.1:"+strconv.Itoa(FreePort()), w.Front, more)
}

// LaunchOn is Launch on a host. aside says that the front does not lead to the replica: only the test calls it.
func (w *World) LaunchOn(h *Host, aside bool, more ...string) (*Replica, error) {
	front := w.Front
	if aside {
		front = nil
	}
	return w.launch(h, WebhookPort, h.Address+":2112", front, more)
}

// WebhookPort is where amp serves its webhook on a host of its own.
const WebhookPort = 8443

func (w *World) launch(h *Host, port int, metrics string, front *Front, more []string) (*Replica, error) {
	env := append(slices.Clone(w.environment),
		"KUBECONFIG="+w.path("amp.kubeconfig"),
		"AMP_TLS_PORT="+strconv.Itoa(port),
		// The API server calls the front by its address. In a cluster it would check the certificate for the name.
		"AMP_TLS_DNS_NAMES="+ampService+" 127.0.0.1",
		// The tests' endpoints are on loopback, which amp calls only if a CIDR lists it.
		"AMP_ENDPOINT_ALLOW=127.0.0.0/8",
		"AMP_METRICS_ADDR="+metrics,
	)
	env = append(env, more...) // if a name is there twice, the last one counts
	w.replicas++
	program, args := h.run(w.programs.amp)
	p, err := start(w.dir, fmt.Sprintf("amp-%d", w.replicas), program, env, args...)
	if err != nil {
		return nil, err
	}
	r := &Replica{Address: h.at(port), metrics: metrics, process: p, front: front}
	if front != nil {
		front.add(r.Address)
	}
	w.running = append(w.running, r)
	return r, nil
}

// UntilReady waits until the replica is ready, and the front has seen that if it leads to the replica.
func (r *Replica) UntilReady() error {
	return poll(patience, func(context.Context) error {
		if r.process.ended() {
			return permanent(fmt.Errorf("amp ended: %s", r.process.lastWords()))
		}
		if r.front == nil && !isReady(r.Address) || r.front != nil && !slices.Contains(r.front.Ready(), r.Address) {
			return fmt.Errorf("amp is not ready: %s", r.process.lastWords())
		}
		return nil
	})
}

// Stop ends amp as the deletion of a Pod does, and waits until it has ended. It must end by itself within the 30 s
// that deploy/ gives it, with status 0.
func (r *Replica) Stop() error {
	defer r.leave()
	return r.process.stop(30 * time.Second)
}

// Kill ends amp with SIGKILL.
func (r *Replica) Kill() {
	defer r.leave()
	r.process.kill()
}

// Pause makes amp hang until Resume.
func (r *Replica) Pause() { r.process.pause() }

// Resume ends Pause.
func (r *Replica) Resume() { r.process.resume() }

func (r *Replica) leave() {
	if r.front != nil {
		r.front.remove(r.Address)
	}
}

// writeKubeconfig writes how amp reaches the API server: with its ServiceAccount's token, and so with only the rights
// that deploy/ grants.
func (w *World) writeKubeconfig(ctx context.Context) error {
	return w.WriteKubeconfig(ctx, "amp-system", "amp", w.path("amp.kubeconfig"))
}

// WriteKubeconfig writes a kubeconfig that acts as a ServiceAccount, in its namespace.
func (w *World) WriteKubeconfig(ctx context.Context, namespace, account, path string) error {
	hour := int64(3600)
	client := kubernetes.NewForConfigOrDie(w.API.Config())
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("asking for the token of ServiceAccount %s/%s: %w", namespace, account, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{
		Server: fmt.Sprintf("https://%s:%d", w.API.reached, w.API.Ports.API), TLSServerName: apiName, CertificateAuthorityData: w.API.ca.PEM,
	}
	config.AuthInfos["amp"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "amp", Namespace: namespace}
	config.CurrentContext = "x"
	return clientcmd.WriteToFile(*config, path)
}

// WithFiles replaces all replicas with one that has a certificate from files (AMP_TLS=files), as another authority
// makes them; see With.
func (w *World) WithFiles(t *testing.T) *Replica {
	t.Helper()
	if _, err := w.RenewCertificate(); err != nil {
		t.Fatal(err)
	}
	r := w.With(t, "AMP_TLS=files", "AMP_TLS_CERT="+w.path("tls", "tls.crt"), "AMP_TLS_KEY="+w.path("tls", "tls.key"))
	// The CA is added to those that are trusted, so that replicas with the other certificates can come back.
	bundle, err := w.Bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetBundle(t.Context(), append(bundle, w.ca.PEM...)); err != nil {
		t.Fatal(err)
	}
	if err := w.UntilCalled(); err != nil {
		t.Fatal(err)
	}
	return r
}

// FilesCA is the CA of the certificate in WithFiles.
func (w *World) FilesCA() []byte { return w.ca.PEM }

// RenewCertificate gives amp in WithFiles a new certificate, in the way in which the kubelet updates a Secret in a
// volume: a new folder, to which a symbolic link is moved in one step. It returns the new certificate.
func (w *World) RenewCertificate() (Pair, error) {
	pair := w.ca.Issue(pkix.Name{CommonName: "amp"}, ampService)
	w.renewals++
	data := fmt.Sprintf("..data-%d", w.renewals)
	dir := w.path("tls", data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return pair, err
	}
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "tls.crt"), pair.Certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "tls.key"), pair.Key, 0o600),
		os.Symlink(data, w.path("tls", "..new")),
		os.Rename(w.path("tls", "..new"), w.path("tls", "..data")),
	)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if link := os.Symlink(filepath.Join("..data", name), w.path("tls", name)); !errors.Is(link, os.ErrExist) {
			err = errors.Join(err, link)
		}
	}
	return pair, err
}

// BreakCertificate writes a key that does not belong to the certificate. A renewal that writes the two files one
// after the other has that state for a moment. The returned function ends it.
func (w *World) BreakCertificate() (restore func() error, err error) {
	path := w.path("tls", "..data", "tls.key")
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return func() error { return os.WriteFile(path, key, 0o600) }, os.WriteFile(path, encodeKey(newKey()), 0o600)
}

// Bundle is the CA bundle in the first mutating webhook: the CAs that the API server trusts.
func (w *World) Bundle(ctx context.Context) ([]byte, error) {
	client := kubernetes.NewForConfigOrDie(w.API.Config()).AdmissionregistrationV1().MutatingWebhookConfigurations()
	c, err := client.Get(ctx, "amp", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return c.Webhooks[0].ClientConfig.CABundle, nil
}

// SetBundle writes a CA bundle into every webhook.
func (w *World) SetBundle(ctx context.Context, bundle []byte) error {
	client := kubernetes.NewForConfigOrDie(w.API.Config()).AdmissionregistrationV1()
	var patch []map[string]any
	for i := range 2 { // webhooks in each configuration
		patch = append(patch, map[string]any{"op": "add", "path": fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), "value": bundle})
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, first := client.MutatingWebhookConfigurations().Patch(ctx, "amp", types.JSONPatchType, body, metav1.PatchOptions{})
	_, second := client.ValidatingWebhookConfigurations().Patch(ctx, "amp", types.JSONPatchType, body, metav1.PatchOptions{})
	return errors.Join(first, second)
}

// Client is an HTTPS client that trusts only what the API server is told to trust now. Each request has a connection,
// and so a handshake, of its own.
func (w *World) Client(t *testing.T) *http.Client {
	t.Helper()
	bundle, err := w.Bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return Trusting(bundle)
}

// Trusting is an HTTPS client for amp that trusts these CAs.
func Trusting(bundle []byte) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: ampService},
	}}
}
