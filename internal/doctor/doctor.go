// Package doctor finds what is wrong with an installation of amp and with the namespaces that use it, and says how to
// fix it. It changes nothing: the Pods that it creates are dry runs.
//
// It works in three stages:
//
//  1. Gather (gather*.go) reads everything from the cluster into one value, observed. It keeps each error beside what
//     could not be read.
//  2. Check (check*.go) judges that value. Each check is one pure function in the list checks in check.go. START THERE.
//     No check talks to the cluster. One failure is reported once: checks that fail only because of it stay silent.
//  3. Present (report.go, present.go) writes the findings as text or JSON.
//
// Dry runs depend on findings: where amp itself is broken, the doctor tries no Pod. They are therefore gathered after the
// other checks have run, and other checks judge them.
//
// The doctor has no copy of amp's rules. It calls amp's own packages to read a Namespace, to decide which addresses amp
// may call, and to parse environment variables.
package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Options say where to look.
type Options struct {
	Config    *rest.Config  // how to reach the API server
	Source    string        // where Config is from, in words, for messages: "kubeconfig /home/me/.kube/config, context test"
	Flags     string        // of kubectl that choose this cluster, as a shell reads them, for remedies: "--context test"
	Namespace string        // where amp is installed; empty: the namespace of the Service that the webhooks call
	Timeout   time.Duration // for each request
	Version   string        // of this program, for the report and the User-Agent
}

// Run looks at the installation. It returns a [*NotAsked] if the cluster could not be asked or ctx ended. Everything
// else that is wrong is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	c, err := connect(o)
	if err != nil {
		return nil, o.notAsked("cannot be asked", err)
	}
	s, err := c.gather(ctx, o.Namespace)
	if err := ctx.Err(); err != nil {
		return nil, o.interrupted(err)
	}
	if err != nil {
		var no *unasked
		errors.As(err, &no)
		return nil, o.notAsked(no.does, no.err)
	}
	findings := judge(checks, s)
	s.dryRuns = c.gatherDryRuns(ctx, s, findings)
	findings = append(findings, judge(dryRunChecks, s)...)
	if err := ctx.Err(); err != nil {
		return nil, o.interrupted(err) // checks were skipped for that, which is not a finding
	}
	for i := range findings {
		findings[i].Remedy = withFlags(findings[i].Remedy, o.Flags)
	}
	return newReport(o.Version, s, findings), nil
}

// withFlags adds flags to the commands of a remedy, kubectl's and Helm's: without them, a command would go to the cluster of
// the current context.
func withFlags(remedy, flags string) string {
	if flags == "" {
		return remedy
	}
	// A plugin gets only the flags behind its name.
	return strings.NewReplacer("kubectl amp doctor", "kubectl amp doctor "+flags, "kubectl ", "kubectl "+flags+" ",
		"helm upgrade ", "helm "+kubeFlags.Replace(flags)+" upgrade ").Replace(remedy)
}
