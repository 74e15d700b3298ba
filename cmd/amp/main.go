// Command amp hosts the function amp: on the functions framework, or on a server of its own where
// AMP_TLS is on, which the framework cannot serve.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"github.com/txn2/amp"
	"github.com/txn2/amp/internal/serve"
)

const usage = `amp, the Kubernetes Admission Mutation Proxy: hands every new Pod to the HTTP endpoint that its
Namespace names and answers the API server with the patch that comes back.

usage: amp [--help | --version]

It is configured by environment variables (name, default, meaning):

`

func main() {
	if len(os.Args) > 1 {
		os.Exit(flags(os.Args[1:]))
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "amp:", err)
		os.Exit(1)
	}
}

// flags answers --help and --version. Anything else is a mistake: amp takes its settings from the
// environment only.
func flags(args []string) int {
	if len(args) == 1 {
		switch args[0] {
		case "-h", "-help", "--help", "help":
			fmt.Print(usage)
			if err := serve.WriteHelp(os.Stdout); err != nil {
				return 1
			}
			return 0
		case "-version", "--version", "version":
			fmt.Println("amp", serve.Version())
			return 0
		}
	}
	fmt.Fprintf(os.Stderr, "amp: unknown argument %q: amp is configured by environment variables, see amp --help\n", args[0])
	return 2
}

func run() error {
	config, err := serve.Load(os.Getenv)
	if err != nil {
		return err
	}
	if err := amp.Start(); err != nil {
		return err
	}
	if config.TLS != serve.TLSOff {
		return serve.ListenAndServeTLS(config, serve.NewLogger(config), http.HandlerFunc(amp.HTTP))
	}
	if os.Getenv("FUNCTION_TARGET") == "" {
		if err := os.Setenv("FUNCTION_TARGET", "amp"); err != nil {
			return err
		}
	}
	return funcframework.Start(config.Port)
}
