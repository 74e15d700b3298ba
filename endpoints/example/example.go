package example

import (
	"context"
	"net/http"
	"slices"

	"github.com/txn2/amp/endpoints"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How a Pod asks for the mutation, and what it gets.
const (
	// Annotation asks for the mutation with the value "mutate". Afterwards its value is "mutated".
	Annotation = "amp.txn2.com/example"
	// AddedAnnotation is an annotation that the mutation adds.
	AddedAnnotation = "example.amp.txn2.com/added"
	// RemovedAnnotation is an annotation that the mutation removes.
	RemovedAnnotation = "example.amp.txn2.com/remove-me"
	// Label is added to Pods without a controller.
	Label = "example.amp.txn2.com/mutated"
	// EnvVar is added to every container.
	EnvVar = "AMP_EXAMPLE"
	// Volume is an empty directory that every container gets at MountPath.
	Volume = "amp-example"
	// MountPath is where every container finds Volume.
	MountPath = "/amp-example"

	// DefaultImage is the default image of the init containers. Any image with a shell can replace it.
	DefaultImage = "docker.io/library/busybox:1.37"
)

// New returns the endpoint, with the given image for its init containers.
func New(image string) http.HandlerFunc {
	return endpoints.Mutate(func(_ context.Context, _ *endpoints.Review, pod *corev1.Pod) error {
		mutate(pod, image)
		return nil
	})
}

// mutate changes a Pod that asks for it. It does not change what the Pod already has: a Pod that was mutated
// before stays as it is, and so does a volume or a variable that a user gave one of these names.
func mutate(pod *corev1.Pod, image string) {
	if pod.Annotations[Annotation] != "mutate" {
		return
	}
	pod.Annotations[Annotation] = "mutated"
	pod.Annotations[AddedAnnotation] = "by endpoints/example"
	delete(pod.Annotations, RemovedAnnotation)
	// A ReplicaSet that does not recognize its Pods creates new ones without end. So amp does not let an
	// endpoint change the labels of a controller's Pod.
	if metav1.GetControllerOf(pod) == nil {
		if _, ok := pod.Labels[Label]; !ok {
			pod.Labels[Label] = "true"
		}
	}

	spec := &pod.Spec
	if !slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == Volume }) {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: Volume,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	// The init containers come first, so that they too get the variable, the mount and the resources.
	for _, c := range []struct{ name, script string }{
		{"amp-example-write", "echo mutated by amp > " + MountPath + "/greeting"},
		{"amp-example-read", "cat " + MountPath + "/greeting"},
	} {
		if !hasContainer(spec, c.name) {
			spec.InitContainers = append(spec.InitContainers, corev1.Container{
				Name: c.name, Image: image, Command: []string{"sh", "-c", c.script}, SecurityContext: restricted(),
			})
		}
	}
	for i := range spec.InitContainers {
		complete(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		complete(&spec.Containers[i])
	}
}

// complete adds what every container gets.
func complete(c *corev1.Container) {
	if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == EnvVar }) {
		c.Env = append(c.Env, corev1.EnvVar{Name: EnvVar, Value: "mutated"})
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == MountPath }) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: Volume, MountPath: MountPath})
	}
	// A container that has resources keeps them: an added request could be larger than the container's
	// limit, and then Kubernetes refuses the Pod.
	if len(c.Resources.Requests) == 0 && len(c.Resources.Limits) == 0 {
		c.Resources.Requests = corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("10m"),
			corev1.ResourceMemory: resource.MustParse("32Mi"),
		}
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}
	}
}

// restricted returns a security context that Pod Security's level "restricted" accepts. The user is 65534
// (nobody), because the image's own user may be root.
func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(bool),
		RunAsNonRoot:             ptr(true),
		RunAsUser:                ptr(int64(65534)),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func ptr[T any](v T) *T { return &v }

func hasContainer(spec *corev1.PodSpec, name string) bool {
	named := func(c corev1.Container) bool { return c.Name == name }
	return slices.ContainsFunc(spec.InitContainers, named) || slices.ContainsFunc(spec.Containers, named)
}
