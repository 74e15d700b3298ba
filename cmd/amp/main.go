// Command amp hosts the function amp.
package main

import (
	"fmt"
	"os"

	"github.com/txn2/amp"
	"github.com/txn2/amp/internal/serve"
)

const usage = `amp is the Kubernetes Admission Mutation Proxy. It forwards each new Pod to the HTTP endpoint that the
Pod's Namespace names, and answers the API server with the patch that the endpoint returned.

usage: amp [--help | --version]

amp reads its configuration only from the environment (name, default, meaning):

`

func main() {
	if len(os.Args) > 1 {
		os.Exit(flags(os.Args[1:]))
	}
	if err := amp.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, "amp:", err)
		os.Exit(1)
	}
}

// flags answers --help and --version, and returns the exit code. Any other argument is a mistake: amp reads its
// configuration only from the environment.
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
