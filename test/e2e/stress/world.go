// Package stress is an installation of amp that faults happen to while it works: every program on a host of its own, on a
// network that can be cut. START HERE: world.go; then faults.go and load.go.
//
// A tree of the programs, each with its host:
//
//	client ─ API server ─ front ─┬─ amp-1 ─┬─ endpoint (endpoints/example)
//	          └ etcd             └─ amp-2 ─┤
//	client ──────────────────────── aside ─┴─ sink (stands for a broker) ─ audit (endpoints/audit)
//
// The replica "aside" is not behind the front. The test calls it as the API server would. All faults happen to it but the
// end of its process, so that what it leaks it has kept at the end.
package stress

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/txn2/amp/test/e2e/harness"
)

// Source is the source of all events.
const Source = "https://amp.test/stress"

// World is the installation.
type World struct {
	*harness.World
	Replicas []*Replica // behind the front
	Aside    *Replica
	Endpoint *harness.Service
	Bad      *harness.Service // the endpoints of bad tenants, see Bad
	Sink     *harness.Service // it passes events on, and answers as the audit function does
	Audit    *harness.Service
	Strict   *harness.Namespace // under Fail
	Lenient  *harness.Namespace // under Ignore

	home, endpoint, sink, audit *harness.Host
	disk                        string // the folder of the audit function's database, a small file system of its own
}

// Replica is a replica of amp that can be replaced on its host.
type Replica struct {
	*harness.Replica
	host  *harness.Host
	aside bool
	world *World
	env   []string
}

func (r *Replica) launch() (err error) {
	r.Replica, err = r.world.LaunchOn(r.host, r.aside, r.env...)
	return err
}

// Bad are the endpoints of bad tenants, by their paths at [World.Bad].
var Bad = []string{"/hang", "/nonsense", "/large", "/quantity", "/inserts", "/unavailable"}

// Main is TestMain of a package that uses a World.
func Main(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		fmt.Fprintln(os.Stderr, play(role))
		os.Exit(1)
	}
	if os.Getuid() == 0 {
		if err := harness.Inside(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// Options are what differs between tests.
type Options struct {
	Environment []string // of all replicas, in addition
	Audit       []string // of the audit function, in addition
	Disk        int      // of the audit function, bytes
}

// New starts the installation, and stops it when the test ends. It needs root: it makes networks, cuts them, and fills a
// disk, all in namespaces of the test's own.
func New(t *testing.T, o Options) *World {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root may make the networks that this test cuts")
	}
	w := &World{}
	if err := w.start(t, o); err != nil {
		t.Fatalf("starting amp and all around it: %v", err)
	}
	return w
}

func (w *World) start(t *testing.T, o Options) (err error) {
	if w.World, err = harness.StartAt(harness.Home); err != nil {
		return err
	}
	t.Cleanup(func() {
		w.KillReplicas() // no test here is about how they drain
		if err := w.Stop(); err != nil {
			t.Errorf("stopping amp and all around it: %v", err)
		}
	})
	hosts := map[string]*harness.Host{}
	for i, name := range []string{"amp-1", "amp-2", "aside", "endpoint", "sink", "audit", "bad"} {
		if hosts[name], err = harness.NewHost(name, 11+i); err != nil {
			return err
		}
	}
	w.home = &harness.Host{Address: harness.Home}
	w.endpoint, w.sink, w.audit = hosts["endpoint"], hosts["sink"], hosts["audit"]

	w.disk = t.TempDir()
	unmount, err := harness.Mount(w.disk, o.Disk)
	if err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	if w.Endpoint, err = w.NewEndpoints(w.endpoint, "example"); err != nil {
		return err
	}
	if w.Audit, err = w.NewEndpoints(w.audit, "audit", append(o.Audit, "AMP_AUDIT_DB="+filepath.Join(w.disk, "events.db"))...); err != nil {
		return err
	}
	if w.Bad, err = w.NewSelf(hosts["bad"], roleVariable+"="+badRole); err != nil {
		return err
	}
	if w.Sink, err = w.NewSelf(w.sink, roleVariable+"="+sinkRole, toVariable+"="+w.Audit.URL()); err != nil {
		return err
	}

	// The certificate that the world's first replica made lives for months. The others begin without one.
	w.KillReplicas()
	if err := kubernetes.NewForConfigOrDie(w.API.Config()).CoreV1().Secrets("amp-system").Delete(t.Context(), "amp-tls", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := w.SetBundle(t.Context(), nil); err != nil {
		return err
	}
	env := slices.Concat([]string{
		"AMP_ENDPOINT_ALLOW=10.77.0.0/24", "K_SINK=" + w.Sink.URL(), "AMP_EVENTS=required", "AMP_EVENTS_SOURCE=" + Source,
	}, o.Environment)
	w.Replicas = []*Replica{{host: hosts["amp-1"]}, {host: hosts["amp-2"]}}
	w.Aside = &Replica{host: hosts["aside"], aside: true}
	for _, r := range w.All() {
		r.world, r.env = w, env
		if err := r.launch(); err != nil {
			return err
		}
	}
	for _, r := range w.All() {
		if err := r.UntilReady(); err != nil {
			return err
		}
	}
	if err := w.UntilCalled(); err != nil {
		return err
	}
	w.Strict = w.Namespace(t, harness.Enabled(w.Endpoint.URL()))
	w.Lenient = w.Namespace(t, harness.Enabled(w.Endpoint.URL(), harness.Ignore))
	return nil
}

// All are the three replicas.
func (w *World) All() []*Replica { return append(slices.Clone(w.Replicas), w.Aside) }

// Paths between two programs, with the server's port.
func (w *World) toWebhook(r *Replica) harness.Path {
	return harness.Path{On: r.host, Client: harness.Home, Server: r.host.Address, Port: harness.WebhookPort}
}

func (w *World) toAPI(r *Replica) harness.Path {
	return harness.Path{On: r.host, Client: r.host.Address, Server: harness.Home, Port: w.API.Ports.API}
}

func (w *World) toService(from, to *harness.Host) harness.Path {
	return harness.Path{On: from, Client: from.Address, Server: to.Address, Port: harness.ServicePort}
}

func (w *World) toEtcd() harness.Path {
	return harness.Path{Client: "127.0.0.1", Server: "127.0.0.1", Port: w.API.Ports.Etcd}
}

// fill takes all space of the disk until free is called.
func (w *World) fill() (free func() error, err error) {
	path := filepath.Join(w.disk, "fill")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return func() error { return os.Remove(path) }, nil
}

// fillAndRestart is fill, after which the audit function ends and comes back. It may refuse to start on a full disk.
func (w *World) fillAndRestart() (end func() error, err error) {
	free, err := w.fill()
	if err != nil {
		return nil, err
	}
	w.Audit.Kill()
	refused := w.Audit.Start()
	return func() error {
		if err := free(); err != nil || refused == nil {
			return err
		}
		return w.Audit.Start()
	}, nil
}

// Rewind writes into the Secret amp-tls what a replica writes whose clock is wrong: a certificate, with its CA, from
// another time. amp may renew it in the same moment: then Rewind does it again.
func (w *World) Rewind(ctx context.Context, other *harness.Authority) error {
	pair := other.Issue(ampName, "amp.amp-system.svc")
	secrets := kubernetes.NewForConfigOrDie(w.API.Config()).CoreV1().Secrets("amp-system")
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		s, err := secrets.Get(ctx, "amp-tls", metav1.GetOptions{})
		if err != nil {
			return err
		}
		s.Data = map[string][]byte{"tls.crt": pair.Certificate, "tls.key": pair.Key, "ca.crt": other.PEM}
		_, err = secrets.Update(ctx, s, metav1.UpdateOptions{})
		return err
	})
}
