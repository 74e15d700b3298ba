package doctor

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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

	mutating, validating seen[[]configuration] // those that hold webhooks of amp
	service              backend               // that the webhooks call; empty if they call none
	deployments          seen[[]appsv1.Deployment]
	pods                 seen[[]corev1.Pod] // of these Deployments
	settings             settings
	access               []access // what amp needs, empty if its ServiceAccount is unknown
	certificates         seen[[]certificate]
	fix                  remedies // in the words of this installation

	namespaces   seen[[]*namespace] // those with a key of amp, in the order of their names
	destinations destinations       // of their endpoints
	dryRuns      dryRuns
}

// configurations are the webhook configurations of both kinds.
func (s *observed) configurations() []configuration {
	return slices.Concat(s.mutating.value, s.validating.value)
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

// target is the first of targets. It is empty if there is none.
func (s *observed) target() target {
	if all := s.targets(); len(all) > 0 {
		return all[0]
	}
	return target{}
}

// template is the Pod template of amp's newest Deployment, nil if no Deployment was found.
func (s *observed) template() *corev1.PodSpec {
	if all := s.deployments.value; len(all) > 0 {
		return &all[0].Spec.Template.Spec
	}
	return nil
}

// container is amp's container in template, nil if it is unknown.
func (s *observed) container() *corev1.Container {
	if spec := s.template(); spec != nil {
		return ampContainer(spec.Containers)
	}
	return nil
}

// account is the name of amp's ServiceAccount, empty if it is unknown.
func (s *observed) account() string {
	if spec := s.template(); spec != nil {
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
