package doctor

import "strings"

// release is the Helm release that installed amp. It is zero if Helm did not.
type release struct{ name, namespace string }

// releaseOf is the release that an object belongs to: Helm says so in these annotations of each object.
func releaseOf(annotations map[string]string) release {
	return release{annotations["meta.helm.sh/release-name"], annotations["meta.helm.sh/release-namespace"]}
}

// upgrade is how to apply the chart again with the values that the release has. The flags set more.
func (r release) upgrade(flags ...string) string {
	// The name comes from an annotation, which others may have written.
	command := "helm upgrade " + Quoted(r.name) + " CHART --namespace " + Quoted(r.namespace) + " --reset-then-reuse-values"
	return strings.Join(append([]string{command}, flags...), " ") +
		"\nCHART is the chart in the version that is installed. If Helm 4 names a conflict, add --force-conflicts."
}

// chartValues are the values of the chart that set a variable, where they take its text. Any other variable is one of settings.
var chartValues = map[string]string{
	"AMP_EVENTS": "events.mode", "AMP_EVENTS_LEVEL": "events.level", "AMP_EVENTS_SOURCE": "events.source", "K_SINK": "events.sink",
}

// set is how to set variables of amp by values of the chart, or to unset them, in the words of [remedies.set].
func (r release) set(assignments []string) string {
	var flags []string
	for _, a := range assignments {
		name, value, set := strings.Cut(a, "=")
		switch key := chartValues[name]; {
		case !set:
			flags = append(flags, "--set settings."+strings.TrimSuffix(name, "-")+"=null")
		case name == "AMP_ENDPOINT_ALLOW":
			return "add it to endpoints.allow in the values of release " + Quoted(r.name) + ", which then are " + value + ". Then\n" + r.upgrade()
		case key != "":
			flags = append(flags, "--set-literal "+key+"="+value) // in --set, a comma would end the value
		default:
			flags = append(flags, "--set-literal settings."+a)
		}
	}
	return r.upgrade(flags...)
}

// kubeFlags are the flags of kubectl that choose a cluster, and what they are to Helm. It has none for a cluster or a user of
// the kubeconfig, and says so.
var kubeFlags = strings.NewReplacer("--context ", "--kube-context ", "--server ", "--kube-apiserver ")
