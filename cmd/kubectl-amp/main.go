// Command kubectl-amp is a plugin of kubectl's: installed in PATH, it is called as `kubectl amp`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/txn2/amp/internal/doctor"
	"github.com/txn2/amp/internal/serve"
)

const usage = `kubectl amp: what an operator of amp, the Kubernetes Admission Mutation Proxy,
needs besides kubectl.

usage: kubectl amp doctor [flags]   says what is wrong with an installation, and
                                    the remedy
       kubectl amp version

kubectl amp doctor --help lists its flags and exit codes.
`

const doctorUsage = `kubectl amp doctor looks at an installation of amp and at each namespace that
has opted in, says what is wrong and how to put it right. It changes nothing:
the Pods that it creates are dry runs, for which amp asks the namespaces'
endpoints.

usage: kubectl amp doctor [flags]

It reads webhook configurations, Namespaces (their metadata), Services,
EndpointSlices, Deployments, Pods, and ConfigMaps that amp's environment comes
from. To see each replica's certificate it forwards a port (or reads tls.crt of
amp's Secret); to know what amp may do it creates SubjectAccessReviews, and a
SelfSubjectReview to know who it is itself. What you may not do is skipped, and
said to be.

exit codes:
  0  nothing has failed; there may be warnings, and checks that were skipped
  1  something has failed: a check that says so, with its remedy
  2  nothing could be looked at: a wrong flag, no cluster, no right to read
     webhook configurations; or it was interrupted

flags:
`

// The exit codes, as doctorUsage has them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	// client-go logs what goes wrong with a forwarded port; the report says it.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return exitUsage
	}
	switch args[0] {
	case "doctor":
		return runDoctor(ctx, args[1:], out, errs)
	case "version", "--version":
		fmt.Fprintln(out, "kubectl-amp", serve.Version())
		return exitOK
	case "help", "-h", "--help":
		fmt.Fprint(out, usage)
		return exitOK
	}
	fmt.Fprintf(errs, "kubectl amp: unknown command %q: allowed are doctor and version\n", args[0])
	return exitUsage
}

func runDoctor(ctx context.Context, args []string, out, errs io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(errs, "kubectl amp doctor:", err)
		return exitUsage
	}
	flags := pflag.NewFlagSet("doctor", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	output := flags.StringP("output", "o", "text", "text, for people, or json, for scripts")
	timeout := flags.Duration("timeout", 10*time.Second, "for each thing that is asked")
	verbose := flags.BoolP("verbose", "v", false, "say what is well in each namespace, too")
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	flags.StringVar(&rules.ExplicitPath, "kubeconfig", "", "path to the kubeconfig file")
	var overrides clientcmd.ConfigOverrides
	clientcmd.BindOverrideFlags(&overrides, flags, clientcmd.RecommendedConfigOverrideFlags(""))
	flags.Lookup(clientcmd.FlagNamespace).Usage = "where amp is installed; by default where its webhooks lead"
	flags.SortFlags = true

	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(out, doctorUsage, flags.FlagUsagesWrapped(80))
		return exitOK
	case err != nil:
		return fail(err)
	case flags.NArg() > 0:
		return fail(fmt.Errorf("unknown argument %q", flags.Arg(0)))
	case *output != "text" && *output != "json":
		return fail(fmt.Errorf("--output %q: allowed are text and json", *output))
	case *timeout <= 0:
		return fail(fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 10s", *timeout))
	}
	namespace := overrides.Context.Namespace
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &overrides).ClientConfig()
	if err != nil {
		return fail(fmt.Errorf("finding the cluster: %w", err))
	}
	report, err := doctor.Run(ctx, doctor.Options{Config: config, Namespace: namespace, Timeout: *timeout, Version: serve.Version()})
	if err != nil {
		return fail(err)
	}
	if *output == "json" {
		err = report.WriteJSON(out)
	} else {
		err = report.WriteText(out, *verbose)
	}
	switch {
	case err != nil:
		return fail(err)
	case report.Summary.Failed > 0:
		return exitFailed
	}
	return exitOK
}
