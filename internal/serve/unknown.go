package serve

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/spelling"
)

// elsewhere are variables that begin with AMP_ and that other programs of the project read: the sample endpoints, the
// auditor's function and the tests. One ConfigMap may hold the variables of several programs, so they are not mistakes.
// kubectl's plugin links this package too: it need not compile expressions at every start.
var elsewhere = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^AMP_(AUDIT_.+|JUPYTERHUB_PROFILES|REQUIRE_REGISTRIES|` +
		`ATTACK_.+|CLUSTER|E2E_KUBERNETES|EVENTING_CRDS|EXAMPLE|EXAMPLE_IMAGE|FAULTS_.+|REGISTRY|REQUIRE_.+|SEED|SOAK_.+|TEST_.+|UPDATE|UPDATE_GOLDEN|WORLDS)$`)
})

// serviceLink are the variables that a kubelet sets for each Service of a Pod's namespace (pkg/kubelet/envvars) unless
// the Pod has enableServiceLinks: false: a Service named amp, or amp-canary, has many.
var serviceLink = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^AMP(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
})

// An unknownVariable is a variable that looks like one of amp's and has no effect.
type unknownVariable struct{ name, nearest string }

// unknownVariables returns those of an environment (NAME=value) in the order of their names, each with the nearest known
// name.
func unknownVariables(environ []string) []unknownVariable {
	var known []string
	for _, v := range variables {
		known = append(known, v.name)
	}
	var unknown []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case strings.TrimSpace(value) == "": // counts as unset
		case !strings.HasPrefix(name, "AMP_"), slices.Contains(known, name), elsewhere().MatchString(name), serviceLink().MatchString(name):
		case strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://"): // a service link, too: tcp://10.0.0.1:443
		default:
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	var all []unknownVariable
	for _, name := range slices.Compact(unknown) {
		nearest, _ := spelling.Closest(name, known)
		all = append(all, unknownVariable{name, nearest})
	}
	return all
}

// warnOfUnknown logs one warning for each unknown variable.
func warnOfUnknown(environ []string, log *slog.Logger) {
	for _, v := range unknownVariables(environ) {
		log.Warn("environment variable is unknown and has no effect", "variable", review.Clip(review.Line(v.name), 100), "nearest", v.nearest)
	}
}
