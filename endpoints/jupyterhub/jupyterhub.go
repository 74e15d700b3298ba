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

// Annotation holds the user's name as JupyterHub knows it, unescaped. KubeSpawner sets it only on users'
// Pods. The Pods of the hub and of the proxy do not have it and pass unchanged.
const Annotation = "hub.jupyter.org/username"

// New returns the endpoint for a profiles file. The endpoint reads the file again when it changes. If file is
// empty, it uses the built-in sample, which has profiles for alice and bob.
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
				return endpoints.NewRefusal(fmt.Sprintf("user %.64q has no profile: ask the operator to add it under users in the profiles file, or to set unknownUsers to defaults", name))
			}
			review.Warn(fmt.Sprintf("user %.64q has no profile: the defaults apply", name))
		}
		return apply(pod, added, safeName(name))
	})
}

// apply adds a profile to a Pod. The profile's user has the given safe name.
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

// fill replaces every placeholder with the safe name. It does so in the profile's JSON, which reaches every
// field of every kind of volume, in later Kubernetes versions too. This is safe because a safe name holds
// nothing that JSON escapes.
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

// maxSafeName is the maximum length of a safe name in bytes. A file name (255 bytes) and a Kubernetes name
// (253) so have room for the text that a profile puts around it.
const maxSafeName = 128

// safeName spells a user's name in lower-case letters, digits and dashes. Different names stay different:
//
//   - A lower-case letter or a digit stays. Every other byte becomes a dash and its two hexadecimal digits.
//     So "..", "/" and "\" do not occur, and names that differ only in case are different on a volume that
//     ignores case.
//   - A name that would be too long is cut and ends with two dashes and its SHA-256. Two dashes do not occur
//     in other names.
//
// KubeSpawner spelt its template {username} in the same way up to version 6, so the directories of that time
// are found again.
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
