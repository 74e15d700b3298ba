// Package e2e tells what amp does on a real API server, as stories. START HERE: mutation_test.go; then
// failure_test.go, validation_test.go, restart_test.go, and deploy_test.go for what is installed.
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

func world(t *testing.T) *harness.World {
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
		if err := shared.world.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the API server and amp:", err)
			code = 1
		}
	}
	os.Exit(code)
}
