package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/txn2/amp/internal/doctor"
	"github.com/txn2/amp/internal/serve"
)

const doctorUsage = `kubectl amp doctor finds what is wrong with an installation of amp and with each
namespace that has opted in, and says how to fix it. It changes nothing: the
Pods that it creates are dry runs. amp calls the namespaces' endpoints for them.

usage: kubectl amp doctor [flags]

  kubectl amp doctor
  kubectl amp doctor -n amp-system --context staging -v
  kubectl amp doctor -o json | jq '.checks[] | select(.status == "failed")'

It reads webhook configurations, Namespaces (their metadata), Services,
EndpointSlices, Deployments, ReplicaSets, Pods, amp's ServiceAccount, and the
ConfigMaps that amp's environment comes from. It forwards a port to each replica
to see its certificate; if it cannot, it reads tls.crt of amp's Secret. Of a Pod
of amp that is not ready, it reads the events and asks /readyz through the API
server. It creates SubjectAccessReviews, which say what amp may do, and a
SelfSubjectReview, which says who you are. What you have no right to read is
skipped, and the report says so.

exit codes:
  0  no check failed; there may be warnings, and checks that were skipped
  1  a check failed; the report says how to fix it
  2  nothing could be checked: a wrong flag, no cluster, or no right to read
     webhook configurations; or the doctor was interrupted. With -o json, this is
     the one check in the report (cluster); only a wrong flag prints no JSON

flags:
`

func runDoctor(ctx context.Context, args []string, out, errs io.Writer) int {
	// client-go logs the errors of a forwarded port, which the report contains.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	flags := newFlags("doctor", doctorUsage, out, errs)
	fail := flags.fail
	output := flags.output("text", "json")
	timeout := flags.Duration("timeout", 10*time.Second, "time for each request")
	verbose := flags.BoolP("verbose", "v", false, "also print the message of each check that is ok in a namespace")
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	flags.StringVar(&rules.ExplicitPath, "kubeconfig", "", "path to the kubeconfig file")
	var overrides clientcmd.ConfigOverrides
	clientcmd.BindOverrideFlags(&overrides, flags.FlagSet, clientcmd.RecommendedConfigOverrideFlags(""))
	flags.Lookup(clientcmd.FlagNamespace).Usage = "where amp is installed; by default the namespace of the Service that its webhooks call"

	if code, done := flags.parse(args, 0); done {
		return code
	}
	if *timeout <= 0 {
		return fail(fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 10s", *timeout))
	}
	options := doctor.Options{Namespace: overrides.Context.Namespace, Timeout: *timeout, Version: serve.Version(), Flags: given(flags.FlagSet)}
	report, err := look(ctx, &kubeconfig{rules, &overrides}, options)
	var no *doctor.NotAsked
	if errors.As(err, &no) {
		if *output == "json" {
			err = no.Report(options.Version).WriteJSON(out)
		} else {
			err = no.WriteText(errs)
		}
		if err != nil {
			return fail(err)
		}
		return exitUsage
	}
	if *output == "json" {
		err = report.WriteJSON(out)
	} else {
		err = report.WriteText(out, *verbose)
	}
	switch {
	case err != nil: // of writing
		return fail(err)
	case report.Summary.Failed > 0:
		return exitFailed
	}
	return exitOK
}

// look finds the cluster and looks at the installation. The error is a *doctor.NotAsked.
func look(ctx context.Context, k *kubeconfig, o doctor.Options) (*doctor.Report, error) {
	var err error
	if o.Config, o.Source, err = k.load(); err != nil {
		return nil, err
	}
	return doctor.Run(ctx, o)
}

// given are the flags with which another kubectl command goes to the same cluster, as a shell reads them.
func given(flags *pflag.FlagSet) string {
	var all []string
	for _, name := range []string{"kubeconfig", clientcmd.FlagContext, clientcmd.FlagClusterName, clientcmd.FlagAuthInfoName, clientcmd.FlagAPIServer} {
		if f := flags.Lookup(name); f.Changed {
			all = append(all, "--"+name, doctor.Quoted(f.Value.String()))
		}
	}
	return strings.Join(all, " ")
}
