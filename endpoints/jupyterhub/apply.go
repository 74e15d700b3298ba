package jupyterhub

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// applier puts a profile into a Pod, and notes what the Pod keeps.
type applier struct {
	override []string
	kept     []string
}

// wins reports whether the profile replaces a thing that the Pod has otherwise; if not, it notes it.
func (a *applier) wins(field, what string) bool {
	if slices.Contains(a.override, field) {
		return true
	}
	if s := strings.TrimSpace(field + " " + what); !slices.Contains(a.kept, s) {
		a.kept = append(a.kept, s)
	}
	return false
}

// apply gives a Pod a profile, and returns the fields in which the Pod keeps what differs from it.
func apply(pod *corev1.Pod, p profile, n names) (kept []string, err error) {
	if p, err = fill(p, n); err != nil {
		return nil, err
	}
	a, spec := &applier{override: p.Override}, &pod.Spec
	pod.Labels = entries(a, "labels", pod.Labels, p.Labels)
	pod.Annotations = entries(a, "annotations", pod.Annotations, p.Annotations)
	spec.NodeSelector = entries(a, "nodeSelector", spec.NodeSelector, p.NodeSelector)
	spec.Volumes = extend(a, "volumes", spec.Volumes, p.Volumes, volumeName)
	spec.Tolerations = extend(a, "", spec.Tolerations, p.Tolerations, wholly)
	spec.ImagePullSecrets = extend(a, "", spec.ImagePullSecrets, p.ImagePullSecrets, wholly)
	spec.SecurityContext = object(a, "securityContext", spec.SecurityContext, p.SecurityContext)
	spec.Affinity = object(a, "affinity", spec.Affinity, p.Affinity)
	if had := spec.PriorityClassName; p.PriorityClassName != "" && had != p.PriorityClassName && (had == "" || a.wins("priorityClassName", "")) {
		// The API server has set these from the old class, and refuses a Pod in which they differ from the new one.
		spec.PriorityClassName, spec.Priority, spec.PreemptionPolicy = p.PriorityClassName, nil, nil
	}
	main := notebook(spec)
	name := ""
	if main != nil {
		name = main.Name
	}
	// Sidecars come behind: the first container stays the first.
	spec.Containers = extend(a, "extraContainers", spec.Containers, p.ExtraContainers, containerName)
	spec.InitContainers = extend(a, "extraInitContainers", spec.InitContainers, p.ExtraInitContainers, containerName)
	for i := range spec.InitContainers {
		if err := a.add("initContainers", &spec.InitContainers[i], p.InitContainers, spec.Volumes); err != nil {
			return nil, err
		}
	}
	i := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	if main == nil || i < 0 {
		return a.kept, nil
	}
	c := &spec.Containers[i]
	if p.Image != "" && c.Image != p.Image && (c.Image == "" || a.wins("image", "")) {
		c.Image = p.Image
	}
	c.Resources = a.resources(c.Resources, p.Resources)
	c.SecurityContext = object(a, "containerSecurityContext", c.SecurityContext, p.ContainerSecurityContext)
	return a.kept, a.add("", c, p.additions, spec.Volumes)
}

// add gives a container what is for it. The field is empty for the notebook's container.
func (a *applier) add(field string, c *corev1.Container, more additions, volumes []corev1.Volume) error {
	env, mounts := field, field
	if field == "" {
		env, mounts = "env", "volumeMounts"
	}
	c.Env = extend(a, env, c.Env, more.Env, envName)
	c.EnvFrom = extend(a, "", c.EnvFrom, more.EnvFrom, wholly)
	c.VolumeMounts = extend(a, mounts, c.VolumeMounts, more.VolumeMounts, mountPath)
	for _, m := range more.VolumeMounts {
		if !slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
			return fmt.Errorf("mounting %q: neither the user's profiles nor the Pod have a volume %q: add it under volumes", m.MountPath, m.Name)
		}
	}
	return nil
}

// extend returns have with the elements of more: new ones at the end, others in their place if the profile wins.
func extend[T any](a *applier, field string, have, more []T, key func(T) string) []T {
	for _, v := range more {
		i := slices.IndexFunc(have, func(h T) bool { return key(h) == key(v) })
		switch {
		case i < 0:
			have = append(have, v)
		case field != "" && !same(have[i], v) && a.wins(field, key(v)):
			have[i] = v
		}
	}
	return have
}

func entries(a *applier, field string, have, more map[string]string) map[string]string {
	for _, k := range sortedKeys(more) {
		if v, ok := have[k]; !ok || v != more[k] && a.wins(field, k) {
			have = with(have, map[string]string{k: more[k]})
		}
	}
	return have
}

// object returns have with the fields of more.
func object[T any](a *applier, field string, have, more *T) *T {
	switch {
	case more == nil || have != nil && same(*have, *more):
		return have
	case covers(tree(merge(have, more)), tree(have)) || a.wins(field, ""):
		return merge(have, more)
	}
	return merge(more, have)
}

// same reports whether an element of the Pod is what the profile wants. The API server adds defaults to what an
// endpoint gave, so the Pod's may have more fields. In a variable and a mount, an absent field is a value too.
func same[T any](have, want T) bool {
	switch w := any(want).(type) {
	case corev1.EnvVar:
		if any(have).(corev1.EnvVar).Value != w.Value {
			return false
		}
	case corev1.VolumeMount:
		h := any(have).(corev1.VolumeMount)
		if h.SubPath != w.SubPath || h.SubPathExpr != w.SubPathExpr || h.ReadOnly != w.ReadOnly {
			return false
		}
		h.MountPath, w.MountPath = mountPath(h), mountPath(w)
		return covers(tree(h), tree(w))
	}
	return covers(tree(have), tree(want))
}

// covers reports whether every field of want is in have, with its value.
func covers(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for k, v := range w {
			hv, has := h[k]
			if !has || !covers(hv, v) {
				return false
			}
		}
		return ok
	case []any:
		h, ok := have.([]any)
		return ok && slices.EqualFunc(h, w, covers)
	}
	return want == nil || reflect.DeepEqual(have, want)
}

// merge returns base with the fields of top, which win. Lists are values.
func merge[T any](base, top *T) *T {
	if base == nil || top == nil {
		if top == nil {
			return base
		}
		return top
	}
	b, _ := json.Marshal(mergeTrees(tree(base), tree(top)))
	merged := new(T)
	_ = json.Unmarshal(b, merged) // both parts came from a T
	return merged
}

func mergeTrees(base, top any) any {
	b, isMap := base.(map[string]any)
	t, too := top.(map[string]any)
	if !isMap || !too {
		return top
	}
	for k, v := range t {
		if old, has := b[k]; has {
			v = mergeTrees(old, v)
		}
		b[k] = v
	}
	return b
}

// tree returns a value of the Kubernetes API as JSON has it.
func tree(v any) (t any) {
	b, _ := json.Marshal(v)
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber() // a user's id may have 64 bits
	_ = d.Decode(&t)
	return t
}

// fill replaces every placeholder. It does so in the profile's JSON, which reaches every field of every kind
// of volume, in later Kubernetes versions too. This is safe because a spelt name holds nothing that JSON escapes.
func fill(p profile, n names) (filled profile, err error) {
	b, err := json.Marshal(p)
	if err == nil {
		text := strings.NewReplacer("{username}", n.user, "{servername}", n.server, "{user_server}", n.userServer).Replace(string(b))
		err = json.Unmarshal([]byte(text), &filled)
	}
	if err != nil {
		return profile{}, fmt.Errorf("putting the user's name into their profile: %w", err)
	}
	return filled, nil
}
