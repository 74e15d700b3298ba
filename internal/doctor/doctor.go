// Package doctor finds what is wrong with an installation of amp and with the namespaces that use it, and says how to
// fix it. It changes nothing: the Pods that it creates are dry runs.
//
// It works in three stages:
//
//  1. Gather (gather*.go) reads everything from the cluster into one value, observed. It keeps each error beside what
//     could not be read.
//  2. Check (check*.go) judges that value. Each check is one pure function in the list checks in check.go. START THERE.
//     No check talks to the cluster, and one failure is reported once, not again by all that follows from it.
//  3. Present (report.go, present.go) writes the findings as text or JSON.
//
// Dry runs depend on findings: where amp itself is broken, no Pod is tried. That is why they are gathered after the
// other checks, and judged by checks of their own.
//
// The doctor does not repeat amp's rules. How a Namespace is read, which address may be called and what a variable may
// be, it asks of amp's own packages.
package doctor

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
)

// Options say where to look.
type Options struct {
	Config    *rest.Config  // how to reach the API server
	Namespace string        // where amp is installed; empty: the namespace of the Service that the webhooks call
	Timeout   time.Duration // for each request
	Version   string        // of this program, for the report and the User-Agent
}

// Run looks at the installation. It returns an error if the cluster could not be asked or ctx ended. Everything else
// that is wrong is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	c, err := connect(o)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	s, err := c.gather(ctx, o.Namespace)
	if err != nil {
		return nil, err
	}
	findings := judge(checks, s)
	s.dryRuns = c.gatherDryRuns(ctx, s, findings)
	findings = append(findings, judge(dryRunChecks, s)...)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("looking at the installation: %w", err) // checks were skipped for that, which is not a finding
	}
	return newReport(o.Version, s, findings), nil
}
