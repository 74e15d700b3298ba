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

// DefaultRegistries is the list where none is given: Docker's official images, Jupyter's, and those of
// Kubernetes itself.
var DefaultRegistries = []string{"docker.io/library", "quay.io/jupyter", "registry.k8s.io"}

// maxNamed bounds how many images a refusal names: enough to see the pattern, on one line.
const maxNamed = 3

// New returns the endpoint for a list of registries: hosts (quay.io, registry.example:5000), each with the
// beginning of a path if only part of it will do (docker.io/library).
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
		return nil, fmt.Errorf("the list of registries is empty, which would refuse every Pod: name one")
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

// check returns why a Pod is refused, empty if it is not.
func check(pod *corev1.Pod, allowed []string) string {
	var faults []string
	for _, i := range images(&pod.Spec) {
		repo, err := repository(i.image)
		switch {
		case i.image == "":
			faults = append(faults, fmt.Sprintf("%s has no image", i.user))
		case err != nil:
			faults = append(faults, fmt.Sprintf("%s uses image %.200q, which is no image reference (%v)", i.user, i.image, err))
		case !slices.ContainsFunc(allowed, func(r string) bool { return within(repo, r) }):
			faults = append(faults, fmt.Sprintf("%s uses image %.200q", i.user, i.image))
		}
	}
	if len(faults) == 0 {
		return ""
	}
	if more := len(faults) - maxNamed; more > 0 {
		faults = append(faults[:maxNamed], fmt.Sprintf("%d more likewise", more))
	}
	return fmt.Sprintf("%s; images may come from %s only: use one from there, or have the registry added to AMP_REQUIRE_REGISTRIES of this check",
		strings.Join(faults, ", "), strings.Join(allowed, ", "))
}

// used is an image and who in the Pod uses it.
type used struct{ user, image string }

// images lists every image that a Pod brings to a node, those mounted as volumes included.
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
