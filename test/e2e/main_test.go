// Package e2e tells what amp does on a real API server, as stories. START HERE: mutation_test.go; then
// failure_test.go, validation_test.go, restart_test.go, and deploy_test.go for what is installed. What amp
// leaves behind of each mutation: events_test.go, then delivery_test.go, secrets_test.go, receiver_test.go.
package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/txn2/amp/test/e2e/harness"
)

// One world serves all stories, since it takes some seconds to make; each story has its own namespaces.
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

// anyWorld is the world for a story that gives amp an environment of its own.
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

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.world != nil && shared.err == nil {
		// Without a sink events go to stdout: so did those of all stories that are not about events.
		if _, err := shared.world.Printed(); err != nil {
			fmt.Fprintln(os.Stderr, "amp printed what is no event as it should be:", err)
			code = 1
		}
		if err := shared.world.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the API server and amp:", err)
			code = 1
		}
	}
	os.Exit(code)
}
