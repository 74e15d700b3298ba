package doctor

import (
	"cmp"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// seen is something that was looked for: its value, or why it could not be read. A list can have both, if a part of it
// could not be read.
type seen[T any] struct {
	value T
	err   error
}

// observed is everything that was read, each with its error. The checks judge it.
type observed struct {
	now        time.Time
	kubernetes string // version of the API server

	mutating, validating seen[[]configuration]         // those that hold webhooks of amp
	gone                 map[types.NamespacedName]bool // Services that webhooks call and that do not exist
	service              backend                       // that the webhooks call; empty if they call none
	deployments          seen[[]appsv1.Deployment]
	replicaSets          seen[[]appsv1.ReplicaSet] // of these Deployments
	pods                 seen[[]corev1.Pod]        // of these Deployments
	states               map[string]state          // of the Pods that are not ready, by name
	circuits             circuits                  // of the Pods that are ready
	settings             settings                  // of the ready replicas
	wanted               settings                  // of the newest Deployment; another than settings while a rollout is not finished
	accountMissing       bool                      // there is no ServiceAccount of the name that the Deployment says
	access               []access                  // what amp needs, empty if its ServiceAccount is unknown
	certificates         seen[[]certificate]
	sink                 *backend // the Service that events go to; nil if they go elsewhere
	fix                  remedies // in the words of this installation

	namespaces   seen[[]*namespace] // those with a key of amp, in the order of their names
	destinations destinations       // of their endpoints
	dryRuns      dryRuns
}

// configurations are the webhook configurations of both kinds, but for those that are left over.
func (s *observed) configurations() []configuration {
	return slices.DeleteFunc(slices.Concat(s.mutating.value, s.validating.value), s.leftOver)
}

// leftOver reports whether a configuration only calls Services that are gone, while another configuration of its kind
// calls one that is there: then no check goes by it.
func (s *observed) leftOver(c configuration) bool {
	all := s.mutating.value
	if c.kind == validating {
		all = s.validating.value
	}
	return s.callsNothing(c) && slices.ContainsFunc(all, func(other configuration) bool { return !s.callsNothing(other) })
}

// callsNothing reports whether a configuration only calls Services that are gone.
func (s *observed) callsNothing(c configuration) bool {
	return !slices.ContainsFunc(c.hooks, func(h admissionv1.MutatingWebhook) bool { return !s.gone[targetOf(h.ClientConfig).service] })
}

// targets are the addresses that the webhooks call, each once.
func (s *observed) targets() []target {
	var all []target
	for _, c := range s.configurations() {
		for _, h := range c.hooks {
			if t := targetOf(h.ClientConfig); !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

// target is the one that most webhooks call, of those that are not gone. It is empty if there is none.
func (s *observed) target() target {
	calls := map[target]int{}
	for _, c := range s.configurations() {
		for _, h := range c.hooks {
			calls[targetOf(h.ClientConfig)]++
		}
	}
	var first target
	rank := func(t target) int {
		if s.gone[t.service] {
			return 1
		}
		return 1 + calls[t]
	}
	for i, t := range s.targets() {
		if i == 0 || rank(t) > rank(first) {
			first = t
		}
	}
	return first
}

// template is the Pod template of the ready replicas or, if none is ready, of amp's newest Deployment. It is nil if no
// Deployment was found.
func (s *observed) template() *corev1.PodSpec {
	if r := serving(s.revisions()); r != nil {
		return &r.template.Spec
	}
	return nil
}

// wantedTemplate is the Pod template of amp's newest Deployment, nil if no Deployment was found.
func (s *observed) wantedTemplate() *corev1.PodSpec {
	if all := s.deployments.value; len(all) > 0 {
		return &all[0].Spec.Template.Spec
	}
	return nil
}

// container is amp's container in template, nil if it is unknown.
func (s *observed) container() *corev1.Container {
	return containerOf(s.template())
}

// containerOf is amp's container of a template, nil if that is unknown.
func containerOf(spec *corev1.PodSpec) *corev1.Container {
	if spec != nil {
		return ampContainer(spec.Containers)
	}
	return nil
}

// pending is the name of the revision that is to change a variable of amp, once it is rolled out; empty if none is.
func (s *observed) pending(variable string) string {
	old, set := s.settings.vars[variable]
	value, is := s.wanted.vars[variable]
	if all := s.revisions(); len(all) > 1 && (old != value || set != is || s.settings.unseen[variable] != s.wanted.unseen[variable]) {
		return all[0].name
	}
	return ""
}

// account is the name of amp's ServiceAccount, empty if it is unknown.
func (s *observed) account() string {
	if spec := s.wantedTemplate(); spec != nil {
		return cmp.Or(spec.ServiceAccountName, "default")
	}
	return ""
}

// image is the image of amp, which the cluster can pull.
func (s *observed) image() string {
	if c := s.container(); c != nil {
		return c.Image
	}
	return "amp"
}

// optedIn are the namespaces for which the API server calls amp.
func (s *observed) optedIn() []*namespace {
	return slices.DeleteFunc(slices.Clone(s.namespaces.value), func(n *namespace) bool { return !n.policy.Enabled })
}

// ampContainer is amp's container of a Pod. Under Knative there is a proxy beside it.
func ampContainer(all []corev1.Container) *corev1.Container {
	for _, is := range []func(corev1.Container) bool{
		func(c corev1.Container) bool { return c.Name == "amp" },
		func(c corev1.Container) bool { return c.Name != "queue-proxy" },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return &all[i]
		}
	}
	return nil
}
