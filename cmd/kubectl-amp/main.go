// Command kubectl-amp is a plugin of kubectl. If it is in PATH, `kubectl amp` runs it.
//
// Each subcommand has a file that reads its flags, and a package under internal that does the work.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/txn2/amp/internal/serve"
	"github.com/txn2/amp/internal/spelling"
)

// command is a subcommand. Its run reads args, which follow the name, and returns an exit code.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, out, errs io.Writer) int
}

// commands are the subcommands in the order in which the help lists them.
var commands = []command{
	{"doctor", "finds what is wrong with an installation, and says how to fix it", runDoctor},
	{"conform", "sends an endpoint Pods of every shape, and says what to fix", runConform},
	{"bench", "measures how fast an endpoint answers", runBench},
	{"try", "sends Pods to an endpoint as amp would, without a cluster", runTry},
	{"test", "runs suites of such questions, for CI", runTest},
	{"replay", "sends recorded Pods through a new version of an endpoint", runReplay},
	{"version", "prints the version of this program", runVersion},
}

// The exit codes of every subcommand.
const (
	exitOK     = 0 // as wanted
	exitFailed = 1 // denied or failed
	exitUsage  = 2 // the question could not be asked: a bad flag, a file that cannot be read, nothing at that address
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends a command that does not end at the first.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errs, usage())
		return exitUsage
	}
	name := args[0]
	switch name {
	case "help", "-h", "--help":
		fmt.Fprint(out, usage())
		return exitOK
	case "--version":
		name = "version"
	}
	var names []string
	for _, c := range commands {
		if c.name == name {
			return c.run(ctx, args[1:], out, errs)
		}
		names = append(names, c.name)
	}
	hint := ""
	if nearest, near := spelling.Closest(name, names); near {
		hint = "; did you mean " + nearest + "?"
	}
	fmt.Fprintf(errs, "kubectl amp: unknown command %q: allowed are %s%s\n", name, strings.Join(names, ", "), hint)
	return exitUsage
}

func usage() string {
	var b strings.Builder
	b.WriteString("kubectl amp: commands for operators and endpoint authors of amp, the Kubernetes\nAdmission Mutation Proxy.\n\nusage: kubectl amp COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "  %-8s %s\n", c.name, c.summary)
	}
	b.WriteString("\nkubectl amp COMMAND --help lists the flags and exit codes of a command.\n")
	return b.String()
}

const versionUsage = `kubectl amp version prints the version of the plugin.

usage: kubectl amp version [flags]

  kubectl amp version
  kubectl amp version -o json

exit codes:
  0  the version was printed
  2  a wrong flag

flags:
`

func runVersion(_ context.Context, args []string, out, errs io.Writer) int {
	flags := newFlags("version", versionUsage, out, errs)
	format := flags.output("text", "json")
	if code, done := flags.parse(args, 0); done {
		return code
	}
	if *format == "json" {
		fmt.Fprintf(out, "{\"version\": %q}\n", serve.Version())
		return exitOK
	}
	fmt.Fprintln(out, "kubectl-amp", serve.Version())
	return exitOK
}
