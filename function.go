// Package amp is the Kubernetes Admission Mutation Proxy as one HTTP function. It sends every new Pod to the HTTP endpoint
// that the Pod's Namespace names, and answers the API server with the patch that the endpoint returns. It decides nothing
// itself.
//
// Importing the package registers the function "amp" with functions-framework-go. The function builds itself from the
// environment on its first request, because a buildpack's main does not know it. A host that must not start with a bad
// configuration calls [ListenAndServe] instead.
//
// With AMP_TLS on, amp also serves itself over TLS, which no host does. Without ListenAndServe that begins with the first
// request, and so probes must use PORT. On SIGTERM amp drains and ends the process.
//
// README.md says how to use amp. internal/proxy is the way of a review through it.
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

// HTTP is the function. If the configuration is bad, it answers 500 with a text that names every bad variable.
func HTTP(w http.ResponseWriter, r *http.Request) {
	app, err := build()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	app.Handler.ServeHTTP(w, r)
}

// ListenAndServe serves the function as the environment says: on the functions framework, over TLS, or both.
// It returns when that fails. An error of the configuration names every bad variable.
func ListenAndServe() error {
	hosted = false
	app, err := build()
	if err != nil {
		return err
	}
	return app.ListenAndServe()
}

// hosted tells build that another program serves the function, and listens already.
var hosted = true

var build = sync.OnceValues(func() (*serve.App, error) {
	app, err := serve.New(context.Background(), os.Getenv, os.Environ())
	if err != nil {
		return nil, err
	}
	// The framework prints blank lines between the log's JSON lines while it sees this variable.
	if err := os.Unsetenv("K_SERVICE"); err != nil {
		return nil, err
	}
	if hosted {
		app.Started()
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		app.Drain()
		// Only the end of the process stops the framework's server.
		os.Exit(0)
	}()
	return app, nil
})
