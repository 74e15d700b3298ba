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
func New(file string) http.HandlerFunc { return handler((&source{file: file}).profiles) }

func handler(current func() (*profiles, error)) http.HandlerFunc {
	return endpoints.Mutate(func(_ context.Context, review *endpoints.Review, pod *corev1.Pod) error {
		if _, ok := pod.Annotations[Annotation]; !ok {
			return nil // not a user's
		}
		p, err := current()
		if err != nil {
			return err
		}
		warnings, err := p.change(pod)
		review.Warn(warnings...)
		return err
	})
}

// change gives a user's Pod what the profiles hold for that user.
func (p *profiles) change(pod *corev1.Pod) (warnings []string, err error) {
	name := pod.Annotations[Annotation]
	if name == "" {
		return nil, endpoints.NewRefusal("annotation " + Annotation + " is empty: set it to the user's name, or leave it out")
	}
	groups, warnings := p.GroupsFrom.of(pod)
	merged, known := p.of(asked{name, groups})
	if !known {
		if p.UnknownUsers == "refuse" {
			return warnings, endpoints.NewRefusal(fmt.Sprintf("user %.64q has no profile: ask the operator to add it under users in the profiles file, or to set unknownUsers to defaults", name))
		}
		warnings = append(warnings, fmt.Sprintf("user %.64q has no profile: the defaults apply", name))
	}
	kept, err := apply(pod, merged, spell(p.Slugs, name, pod.Annotations[ServerAnnotation]))
	if len(kept) > 0 {
		warnings = append(warnings, fmt.Sprintf("the Pod keeps its own %s: to replace it, name the field under override in the profile", strings.Join(kept, ", ")))
	}
	return warnings, err
}

// of returns the groups that a Pod names. An annotation or label that is not there names none. A list in JSON
// is a mistake that is easy to make, and none of its names would be a group's, so there is a warning.
func (g groupsFrom) of(pod *corev1.Pod) (groups, warnings []string) {
	if list := strings.TrimSpace(pod.Annotations[g.Annotation]); strings.HasPrefix(list, "[") || strings.HasPrefix(list, "{") {
		warnings = append(warnings, fmt.Sprintf("annotation %s is not a list of groups with commas between, so it is ignored: write it as a,b", g.Annotation))
	} else if g.Annotation != "" {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				groups = append(groups, name)
			}
		}
	}
	if name := pod.Labels[g.Label]; g.Label != "" && name != "" {
		groups = append(groups, name)
	}
	return groups, warnings
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
