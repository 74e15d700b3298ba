package dashboard

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/txn2/amp/test/e2e/harness"
)

// endpoint is an endpoint with a name, which can be ill for a while.
type endpoint struct {
	name      string
	well, ill http.HandlerFunc
	isIll     atomic.Bool
}

func (e *endpoint) URL() string { return "http://" + e.name + "/" }

// ServeHTTP takes some milliseconds, as an endpoint does that looks something up.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	time.Sleep(time.Duration(rand.ExpFloat64() * float64(4*time.Millisecond)))
	if e.isIll.Load() {
		e.ill(w, r)
		return
	}
	e.well(w, r)
}

// serve serves endpoints until the test ends, each at an address of its own.
func serve(t *testing.T, endpoints ...*endpoint) {
	t.Helper()
	hosts := "127.0.0.1 localhost\n"
	for i, e := range endpoints {
		address := fmt.Sprintf("127.0.1.%d", i+1)
		hosts += address + " " + e.name + "\n"
		l, err := net.Listen("tcp", address+":80")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: e}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
	}
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("mount", "--bind", file, "/etc/hosts").CombinedOutput(); err != nil {
		t.Fatalf("mounting /etc/hosts: %v: %s", err, said)
	}
}

// sometimes answers a part of the requests as another endpoint.
func sometimes(part float64, one, other http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if rand.Float64() < part {
			one(w, r)
			return
		}
		other(w, r)
	}
}

// create creates Pods in a namespace until ctx ends: rate a second, but more and fewer in waves.
func create(ctx context.Context, w *harness.World, ns *harness.Namespace, rate float64) {
	config := w.API.Config()
	config.WarningHandler = rest.NoWarnings{}
	pods := kubernetes.NewForConfigOrDie(config).CoreV1().Pods(ns.Name)
	for began := time.Now(); ctx.Err() == nil; {
		now := rate * (1 + 0.5*math.Sin(rate+time.Since(began).Seconds()/20))
		time.Sleep(time.Duration(rand.ExpFloat64() / now * float64(time.Second)))
		// Some are refused: the picture shows that.
		go pods.Create(ctx, harness.Pod("web-"), metav1.CreateOptions{})
	}
}

// work lets amp work for a while, and things fail meanwhile. It returns when that began and ended.
func work(t *testing.T, w *harness.World, length time.Duration) (from, to time.Time) {
	t.Helper()
	labels, nothing := harness.Labels, harness.Answers("[]")
	denies, allows := harness.Answers(`{"allowed":false,"status":{"message":"of a registry that is not on the list"}}`), harness.Answers(`{"allowed":true}`)
	hangsUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	profiles := &endpoint{name: "profiles.jhub.svc", well: labels("profile", "small")}
	volumes := &endpoint{name: "volumes.storage.svc", well: labels("home", "yes"), ill: sometimes(0.2, harness.Hangs, labels("home", "yes"))}
	sidecars := &endpoint{name: "sidecars.web.svc", well: sometimes(0.3, nothing, labels("sidecar", "yes")), ill: hangsUp}
	images := &endpoint{name: "images.platform.svc", well: sometimes(0.15, denies, allows)}
	both := func(profile string) http.HandlerFunc { // what profiles and volumes make together
		return harness.Answers(`[{"op":"add","path":"/metadata/labels","value":{"home":"yes","profile":"` + profile + `"}}]`)
	}
	candidate := &endpoint{name: "profiles-v2.jhub.svc", well: sometimes(0.1, both("large"), both("small")), ill: harness.Fails(http.StatusInternalServerError, "a bug")}
	serve(t, profiles, volumes, sidecars, images, candidate)
	sink := harness.NewSink(t)

	w.KillReplicas() // the one that runs has no address for Prometheus
	start := func() {
		for _, address := range replicas {
			if _, err := w.StartReplica("K_SINK="+sink.URL, "AMP_METRICS_ADDR="+address); err != nil {
				t.Error(err)
			}
		}
	}
	start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, tenant := range []struct {
		rate float64 // Pods a second
		says harness.On
	}{
		{5, harness.Enabled(profiles.URL()+" "+volumes.URL(), harness.On{"amp.txn2.com/candidate": candidate.URL()})},
		{6, harness.Enabled(sidecars.URL(), harness.Ignore)},
		{3, harness.On{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true", "validation.amp.txn2.com/ep": images.URL()}},
		{2, harness.Enabled(profiles.URL(), harness.On{"amp.txn2.com/mode": "shadow"})},
	} {
		go create(ctx, w, w.Namespace(t, tenant.says), tenant.rate)
	}
	time.Sleep(6 * interval) // until rates are known

	from = time.Now()
	for _, step := range []struct {
		at float64 // of the whole time
		do func()
	}{
		{0.12, func() { sidecars.isIll.Store(true) }},
		{0.27, func() { sidecars.isIll.Store(false) }},
		{0.35, sink.Down},
		{0.45, sink.Up},
		{0.53, func() { volumes.isIll.Store(true) }},
		{0.65, func() { volumes.isIll.Store(false) }},
		{0.70, func() { candidate.isIll.Store(true) }},
		{0.76, func() { candidate.isIll.Store(false) }},
		{0.83, w.KillReplicas},
		{0.86, start},
		{1, cancel},
	} {
		time.Sleep(time.Until(from.Add(time.Duration(step.at * float64(length)))))
		step.do()
	}
	return from, time.Now()
}
