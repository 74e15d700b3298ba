// Command amp hosts the function amp.
package main

import (
	"fmt"
	"os"

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
	if err := amp.ListenAndServe(); err != nil {
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
