package jupyterhub

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints"
	corev1 "k8s.io/api/core/v1"
)

// Annotation holds the user's name as JupyterHub knows it, unescaped. KubeSpawner sets it on users' Pods and
// on no others: those of the hub and the proxy pass as they are.
const Annotation = "hub.jupyter.org/username"

// New returns the endpoint for a profiles file, which it reads again when it changes. With an empty name it
// uses the built-in sample, with profiles for alice and bob.
func New(file string) http.HandlerFunc {
	s := &source{file: file}
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
		added, listed := p.of(name)
		if !listed {
			if p.UnknownUsers == "refuse" {
				return endpoints.NewRefusal(fmt.Sprintf("user %.64q has no profile: have them added under users in the profiles file, or unknownUsers set to defaults", name))
			}
			review.Warn(fmt.Sprintf("user %.64q has no profile: the defaults apply", name))
		}
		return apply(pod, added, safeName(name))
	})
}

// apply adds a profile to a Pod, for the user of that safe name.
func apply(pod *corev1.Pod, p profile, safe string) error {
	p, err := fill(p, safe)
	if err != nil {
		return err
	}
	spec := &pod.Spec
	spec.Volumes = extend(spec.Volumes, p.Volumes, volumeName)
	for i := range spec.InitContainers {
		if err := p.InitContainers.addTo(&spec.InitContainers[i], spec.Volumes); err != nil {
			return err
		}
	}
	if c := notebook(spec); c != nil {
		return p.addTo(c, spec.Volumes)
	}
	return nil
}

// notebook is the container of the user's server. KubeSpawner calls it so and puts it first; a hub that
// renames it still keeps the order.
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

// addTo adds to a container what it does not have.
func (a additions) addTo(c *corev1.Container, volumes []corev1.Volume) error {
	had := len(c.VolumeMounts)
	c.Env = extend(c.Env, a.Env, envName)
	c.VolumeMounts = extend(c.VolumeMounts, a.VolumeMounts, mountPath)
	for _, m := range c.VolumeMounts[had:] {
		if !slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
			return fmt.Errorf("mounting %q: neither the user's profiles nor the Pod have a volume %q: add it under volumes", m.MountPath, m.Name)
		}
	}
	return nil
}

// extend returns have with those elements of more whose key it lacks.
func extend[T any](have, more []T, key func(T) string) []T {
	for _, v := range more {
		if !slices.ContainsFunc(have, func(h T) bool { return key(h) == key(v) }) {
			have = append(have, v)
		}
	}
	return have
}

// fill puts the safe name in the placeholder's place, wherever it stands. To do so in the profile's JSON
// reaches every field of every kind of volume, those of later Kubernetes versions included, and is sound
// because a safe name holds nothing that JSON would have to escape.
func fill(p profile, safe string) (filled profile, err error) {
	b, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal([]byte(strings.ReplaceAll(string(b), placeholder, safe)), &filled)
	}
	if err != nil {
		return profile{}, fmt.Errorf("putting the user's name into their profile: %w", err)
	}
	return filled, nil
}

// maxSafeName leaves room in a file name (255 bytes) and in a Kubernetes name (253) for what a profile puts
// around it.
const maxSafeName = 128

// safeName spells a user's name in lower-case letters, digits and dashes, no two names alike: every other
// byte becomes a dash and its two hexadecimal digits. A name that would be too long is cut and gets its
// SHA-256 behind two dashes, which nothing else has. Upper case is escaped too, for volumes that do not
// tell it from lower; and "..", "/" and "\" are no more. KubeSpawner's template {username} was spelt the
// same up to version 6, so directories made then are found again.
func safeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "-%02x", c)
		}
	}
	s := b.String()
	if len(s) > maxSafeName {
		sum := fmt.Sprintf("--%x", sha256.Sum256([]byte(name)))
		s = s[:maxSafeName-len(sum)] + sum
	}
	return s
}
