// Package amp is the Kubernetes Admission Mutation Proxy as one HTTP function. It hands every new Pod to the
// HTTP endpoint that its Namespace names and answers the API server with the patch that comes back; it
// decides nothing itself.
//
// Importing the package registers the function "amp" with functions-framework-go. It builds itself from the
// environment on its first request, so that it works under a main that knows nothing of it, as a
// buildpack's does; a host that would rather not start with a bad configuration leaves the serving to
// [ListenAndServe]. With AMP_TLS on it is also served over TLS, which no host does; under a main that does not call
// ListenAndServe that begins with the first request, so that probes must go to PORT. On SIGTERM it drains and
// ends the process.
//
// README.md says how to use it, internal/proxy is where a review goes through.
package amp

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/txn2/amp/internal/serve"
)

func init() {
	functions.HTTP("amp", HTTP)
}

// HTTP is the function. Where the configuration is bad it answers 500 with the text that says so.
func HTTP(w http.ResponseWriter, r *http.Request) {
	app, err := build()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	app.Handler.ServeHTTP(w, r)
}

// ListenAndServe serves the function as the environment says: on the functions framework, over TLS, or both.
// It returns when that fails; an error of the configuration names every bad variable.
func ListenAndServe() error {
	app, err := build()
	if err != nil {
		return err
	}
	return app.ListenAndServe()
}

var build = sync.OnceValues(func() (*serve.App, error) {
	app, err := serve.New(context.Background(), os.Getenv)
	if err != nil {
		return nil, err
	}
	// The framework prints blank lines between the log's JSON lines while it sees this variable.
	if err := os.Unsetenv("K_SERVICE"); err != nil {
		return nil, err
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		app.Drain()
		// Nothing but the end of the process stops the framework's server: its Start has no other way out.
		os.Exit(0)
	}()
	return app, nil
})
