package jupyterhub

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints"
	corev1 "k8s.io/api/core/v1"
)

// Annotation holds the user's name as JupyterHub knows it, unescaped. KubeSpawner sets it only on users'
// Pods. The Pods of the hub and of the proxy do not have it and pass unchanged.
const Annotation = "hub.jupyter.org/username"

// ServerAnnotation holds the name of a named server. The default server has none.
const ServerAnnotation = "hub.jupyter.org/servername"

// New returns the endpoint for a profiles file. The endpoint reads the file again when it changes; while the
// file has a mistake, the last good one stays in force. If file is empty, it uses the built-in sample, which
// has profiles for alice and bob.
func New(file string) http.HandlerFunc { return handler(&source{file: file}) }

func handler(s *source) http.HandlerFunc {
	return endpoints.Mutate(func(_ context.Context, review *endpoints.Review, pod *corev1.Pod) error {
		name, ok := pod.Annotations[Annotation]
		if !ok {
			return nil
		}
		if name == "" {
			return endpoints.NewRefusal("annotation " + Annotation + " is empty: set it to the user's name, or leave it out")
		}
		p, err := s.profiles()
		if err != nil {
			return err
		}
		merged, known := p.of(asked{name, p.GroupsFrom.of(pod)})
		if !known {
			if p.UnknownUsers == "refuse" {
				return endpoints.NewRefusal(fmt.Sprintf("user %.64q has no profile: ask the operator to add it under users in the profiles file, or to set unknownUsers to defaults", name))
			}
			review.Warn(fmt.Sprintf("user %.64q has no profile: the defaults apply", name))
		}
		kept, err := apply(pod, merged, spell(p.Slugs, name, pod.Annotations[ServerAnnotation]))
		if len(kept) > 0 {
			review.Warn(fmt.Sprintf("the Pod keeps its own %s: to replace it, name the field under override in the profile", strings.Join(kept, ", ")))
		}
		return err
	})
}

// of returns the groups that a Pod names.
func (g groupsFrom) of(pod *corev1.Pod) (groups []string) {
	if g.Annotation != "" {
		for name := range strings.SplitSeq(pod.Annotations[g.Annotation], ",") {
			groups = append(groups, strings.TrimSpace(name))
		}
	}
	if g.Label != "" {
		groups = append(groups, pod.Labels[g.Label])
	}
	return groups
}

// notebook returns the container of the user's server: the one with KubeSpawner's name for it, or else the
// first. KubeSpawner puts it first, also if the hub renames it.
func notebook(spec *corev1.PodSpec) *corev1.Container {
	i := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == "notebook" })
	if i < 0 && len(spec.Containers) > 0 {
		i = 0
	}
	if i < 0 {
		return nil
	}
	return &spec.Containers[i]
}
