// Package e2e tests what amp does with a real API server. START HERE: mutation_test.go; then failure_test.go,
// validation_test.go, restart_test.go, and deploy_test.go for what is installed. The tests of what amp records about
// each mutation: events_test.go, then delivery_test.go, secrets_test.go, receiver_test.go.
package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/txn2/amp/test/e2e/harness"
)

// All tests share one world, because it takes some seconds to start. Each test has its own namespaces.
var shared struct {
	world *harness.World
	err   error
}

// world is the world with amp as deploy/ has it.
func world(t *testing.T) *harness.World {
	t.Helper()
	w := anyWorld(t)
	if err := w.AsDeployed(); err != nil {
		t.Fatal(err)
	}
	return w
}

// anyWorld is the world for a test that gives amp an environment of its own.
func anyWorld(t *testing.T) *harness.World {
	t.Helper()
	if shared.world == nil && shared.err == nil {
		shared.world, shared.err = harness.Start()
	}
	if shared.err != nil {
		t.Fatalf("starting the API server and amp: %v", shared.err)
	}
	return shared.world
}

// TestKubernetesCompiles takes minutes where it was never compiled. So it can be run alone, before the others.
func TestKubernetesCompiles(t *testing.T) {
	if err := harness.CompileKubernetes(); err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.world != nil && shared.err == nil {
		// Without a sink, events go to stdout. So this checks the events of all tests that do not set a sink.
		if _, err := shared.world.Printed(); err != nil {
			fmt.Fprintln(os.Stderr, "amp printed something that is not a valid event:", err)
			code = 1
		}
		if err := shared.world.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the API server and amp:", err)
			code = 1
		}
	}
	os.Exit(code)
}
