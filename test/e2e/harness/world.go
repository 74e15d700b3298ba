package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// World is an installation of amp: the API server with what deploy/ renders, one replica of amp behind the front, and
// the sample endpoints.
type World struct {
	API     *APIServer
	Front   *Front
	Samples string // the URL of the sample endpoints, to which a sample's name is added, e.g. /example

	dir         string
	programs    programs
	ca          *Authority // of the certificate in WithFiles
	environment []string
	samples     *process
	services    []*Service
	running     []*Replica
	replicas    int
	renewals    int
	namespaces  int
	receivers   int
	altered     bool // by With
}

// Start builds all programs and starts the world, all of it on loopback. If that fails, it stops what it had started.
func Start() (*World, error) { return StartAt("127.0.0.1") }

// StartAt is Start for a world in which programs on other hosts (see Host) reach the API server at the address.
func StartAt(address string) (w *World, err error) {
	w = &World{ca: NewAuthority("amp-ca")}
	defer func() {
		if err != nil {
			w.Stop()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "amp-e2e-"); err != nil {
		return w, err
	}
	if w.programs, err = build(w.dir); err != nil {
		return w, err
	}
	if w.API, err = startAPIServer(w.dir, w.programs, address); err != nil {
		return w, err
	}
	if w.Front, err = newFront(); err != nil {
		return w, err
	}
	if err = w.install(); err != nil {
		return w, err
	}
	if err = w.startSamples(); err != nil {
		return w, err
	}
	if _, err = w.StartReplica(); err != nil {
		return w, err
	}
	return w, w.UntilCalled()
}

func (w *World) path(elements ...string) string {
	return filepath.Join(append([]string{w.dir}, elements...)...)
}

func (w *World) install() error {
	deployed, err := w.Deployed()
	if err != nil {
		return err
	}
	if w.environment, err = deployed.environment(); err != nil {
		return err
	}
	ctx := context.Background()
	if err := Apply(ctx, w.API.Config(), deployed); err != nil {
		return err
	}
	return w.writeKubeconfig(ctx)
}

// Deployed is what deploy/ renders, with the webhooks led to the front.
func (w *World) Deployed() (Manifests, error) {
	m, err := Render("deploy")
	if err != nil {
		return nil, err
	}
	return m, m.through(w.Front.Address)
}

// Install applies a folder of the repository until the test ends.
func (w *World) Install(t *testing.T, folder string) error {
	m, err := Render(folder)
	if err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := remove(context.Background(), w.API.Config(), m); err != nil {
			t.Errorf("removing %s: %v", folder, err)
		}
	})
	return Apply(t.Context(), w.API.Config(), m)
}

func (w *World) startSamples() (err error) {
	port := strconv.Itoa(FreePort())
	w.Samples = "http://127.0.0.1:" + port
	w.samples, err = start(w.dir, "endpoints", w.programs.endpoints, []string{"PORT=" + port})
	if err != nil {
		return err
	}
	return poll(patience, func(context.Context) error {
		if w.samples.ended() {
			return permanent(fmt.Errorf("the samples ended: %s", w.samples.lastWords()))
		}
		return dial("127.0.0.1:" + port)
	})
}

// UntilCalled waits until the API server uses both webhook configurations as they are now. It does so a moment after
// they were stored. Each of the two must refuse a Pod that the other would let pass.
func (w *World) UntilCalled() error {
	client, ctx := kubernetes.NewForConfigOrDie(w.API.Config()).CoreV1(), context.Background()
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	for _, ns := range []metav1.ObjectMeta{
		{
			Name:        "until-mutating",
			Labels:      map[string]string{"amp.txn2.com/enabled": "true"},
			Annotations: map[string]string{"amp.txn2.com/ep": "http://127.0.0.1:1/nothing-is-here"},
		},
		{
			Name:        "until-validating",
			Labels:      map[string]string{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"},
			Annotations: map[string]string{"validation.amp.txn2.com/ep": "http://127.0.0.1:1/nothing-is-here"},
		},
	} {
		if _, err := client.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: ns}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		err := poll(patience, func(ctx context.Context) error {
			_, err := client.Pods(ns.Name).Create(ctx, Pod("web"), dryRun)
			if err != nil && strings.Contains(err.Error(), "denied the request") {
				return nil
			}
			return fmt.Errorf("a Pod in namespace %s that amp must refuse: %v", ns.Name, err)
		})
		if err != nil {
			return fmt.Errorf("waiting for the webhooks: %w", err)
		}
	}
	return nil
}

// StopReplicas ends every replica of amp that runs.
func (w *World) StopReplicas() error { return w.StopAllBut() }

// KillReplicas ends every replica of amp with SIGKILL.
func (w *World) KillReplicas() {
	for _, r := range w.running {
		r.Kill()
	}
	w.running = nil
}

// StopAllBut ends every running replica of amp, with exceptions.
func (w *World) StopAllBut(some ...*Replica) (err error) {
	for _, r := range w.running {
		if !slices.Contains(some, r) && !r.process.ended() {
			err = errors.Join(err, r.Stop())
		}
	}
	w.running = some
	return err
}

// Stop ends all programs. It is the last call to the world. It removes the world's folder, unless a program did not
// end well.
func (w *World) Stop() error {
	err := w.StopReplicas()
	if w.samples != nil {
		w.samples.kill() // no test is about how they drain, and that takes time
	}
	for _, s := range w.services {
		s.Kill()
	}
	if w.API != nil {
		err = errors.Join(err, w.API.stop())
	}
	if w.Front != nil {
		w.Front.close()
	}
	if err != nil {
		return fmt.Errorf("%w\nthe logs are in %s", err, w.dir)
	}
	return os.RemoveAll(w.dir)
}
