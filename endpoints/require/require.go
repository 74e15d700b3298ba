package require

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints"
	corev1 "k8s.io/api/core/v1"
)

// DefaultRegistries is the default list: the images of Docker's official library, of Jupyter and of
// Kubernetes.
var DefaultRegistries = []string{"docker.io/library", "quay.io/jupyter", "registry.k8s.io"}

// maxNamed bounds how many images a refusal names, so that it stays one readable line.
const maxNamed = 3

// New returns the endpoint for a list of registries. An entry is a host (quay.io, registry.example:5000), or
// a host and the beginning of a path (docker.io/library) to allow only a part of the registry. A bad entry
// and an empty list are errors.
func New(registries ...string) (http.HandlerFunc, error) {
	var allowed []string
	for _, entry := range registries {
		r, err := parseRegistry(entry)
		if err != nil {
			return nil, err
		}
		allowed = append(allowed, r)
	}
	if len(allowed) == 0 {
		return nil, fmt.Errorf("the list of registries is empty, so every Pod would be refused: name a registry")
	}
	return endpoints.Handler(func(_ context.Context, review *endpoints.Review) (endpoints.Answer, error) {
		pod, err := review.Decode()
		if err != nil {
			return endpoints.Answer{}, err
		}
		if message := check(pod, allowed); message != "" {
			return endpoints.Refuse(message), nil
		}
		return endpoints.Patch(), nil
	}), nil
}

// check returns why a Pod is refused, or "" if it is allowed.
func check(pod *corev1.Pod, allowed []string) string {
	var faults []string
	for _, i := range images(&pod.Spec) {
		repo, err := repository(i.image)
		switch {
		case i.image == "":
			faults = append(faults, fmt.Sprintf("%s has no image", i.user))
		case err != nil:
			faults = append(faults, fmt.Sprintf("%s uses image %.200q, which is not an image reference (%v)", i.user, i.image, err))
		case !slices.ContainsFunc(allowed, func(r string) bool { return within(repo, r) }):
			faults = append(faults, fmt.Sprintf("%s uses image %.200q", i.user, i.image))
		}
	}
	if len(faults) == 0 {
		return ""
	}
	if more := len(faults) - maxNamed; more > 0 {
		faults = append(faults[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s; images may come from %s only: use one from there, or ask the operator to add the registry to AMP_REQUIRE_REGISTRIES of this check",
		strings.Join(faults, ", "), strings.Join(allowed, ", "))
}

// used is an image and the part of the Pod that uses it.
type used struct{ user, image string }

// images returns every image that a node pulls for a Pod, including those that are mounted as volumes.
func images(spec *corev1.PodSpec) []used {
	var list []used
	for _, c := range spec.InitContainers {
		list = append(list, used{fmt.Sprintf("init container %q", c.Name), c.Image})
	}
	for _, c := range spec.Containers {
		list = append(list, used{fmt.Sprintf("container %q", c.Name), c.Image})
	}
	for _, c := range spec.EphemeralContainers {
		list = append(list, used{fmt.Sprintf("ephemeral container %q", c.Name), c.Image})
	}
	for _, v := range spec.Volumes {
		if v.Image != nil && v.Image.Reference != "" { // empty until a controller fills it in
			list = append(list, used{fmt.Sprintf("volume %q", v.Name), v.Image.Reference})
		}
	}
	return list
}
