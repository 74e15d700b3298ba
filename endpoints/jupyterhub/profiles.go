package jupyterhub

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

//go:embed profiles.yaml
var sample []byte

// profiles is the profiles file; profiles.yaml documents it.
type profiles struct {
	UnknownUsers string           `json:"unknownUsers"`
	Slugs        string           `json:"slugs"`
	GroupsFrom   groupsFrom       `json:"groupsFrom"`
	Defaults     profile          `json:"defaults"`
	Groups       map[string]group `json:"groups"`
	Users        map[string]user  `json:"users"`
}

// groupsFrom names where a Pod says which groups its user is in.
type groupsFrom struct {
	Annotation string `json:"annotation"` // its value is names with commas between
	Label      string `json:"label"`      // its value is one name
}

type group struct {
	profile
	Members []string `json:"members"` // names and patterns
}

type user struct {
	profile
	Groups []string `json:"groups"`
}

type profile struct {
	additions
	Override                 []string                      `json:"override"`
	Volumes                  []corev1.Volume               `json:"volumes"`
	InitContainers           additions                     `json:"initContainers"`
	ExtraContainers          []corev1.Container            `json:"extraContainers"`
	ExtraInitContainers      []corev1.Container            `json:"extraInitContainers"`
	Image                    string                        `json:"image"`
	PriorityClassName        string                        `json:"priorityClassName"`
	Resources                *corev1.ResourceRequirements  `json:"resources"`
	ContainerSecurityContext *corev1.SecurityContext       `json:"containerSecurityContext"`
	SecurityContext          *corev1.PodSecurityContext    `json:"securityContext"`
	Affinity                 *corev1.Affinity              `json:"affinity"`
	NodeSelector             map[string]string             `json:"nodeSelector"`
	Labels                   map[string]string             `json:"labels"`
	Annotations              map[string]string             `json:"annotations"`
	Tolerations              []corev1.Toleration           `json:"tolerations"`
	ImagePullSecrets         []corev1.LocalObjectReference `json:"imagePullSecrets"`
}

// additions are what a container gets.
type additions struct {
	Env          []corev1.EnvVar        `json:"env"`
	EnvFrom      []corev1.EnvFromSource `json:"envFrom"`
	VolumeMounts []corev1.VolumeMount   `json:"volumeMounts"`
}

// overridable are the keys that override may name. Tolerations, pull secrets and envFrom only ever add.
var overridable = []string{"affinity", "annotations", "containerSecurityContext", "env", "extraContainers", "extraInitContainers",
	"image", "initContainers", "labels", "nodeSelector", "priorityClassName", "resources", "securityContext", "volumeMounts", "volumes"}

// The keys of list elements, in a profile and in a Pod.
func envName(e corev1.EnvVar) string          { return e.Name }
func volumeName(v corev1.Volume) string       { return v.Name }
func containerName(c corev1.Container) string { return c.Name }

// wholly is the key of elements that have none: all of them.
func wholly[T any](v T) string { b, _ := json.Marshal(v); return string(b) }

func mountPath(m corev1.VolumeMount) string {
	if m.MountPath == "" {
		return ""
	}
	return path.Clean(m.MountPath) // /data/ is /data
}

// asked is the user whom a Pod is for.
type asked struct {
	user   string
	groups []string // as the Pod names them
}

// A layer is one of the profiles that make up what a user gets.
type layer struct {
	profile
	from string // as the file has it: defaults, groups.NAME or users.NAME
	why  string // for a group: who put the user into it
}

// membership is a group that a user is in, and who says so.
type membership struct{ group, why string }

// layers returns a user's profiles, the weakest first, and reports whether the file knows the user. An entry
// with the user's very name goes before patterns, a longer pattern before a shorter one.
func (p *profiles) layers(a asked) (layers []layer, known bool) {
	entry := p.entry(a.user)
	u, known := p.Users[entry], entry != ""
	var in []membership
	for _, name := range u.Groups {
		in = append(in, membership{name, "users." + entry + " names it"})
	}
	for _, name := range sortedKeys(p.Groups) {
		members := p.Groups[name].Members
		if i := slices.IndexFunc(members, func(m string) bool { return matches(m, a.user) }); i >= 0 {
			in = append(in, membership{name, "its member " + members[i]})
		}
	}
	for _, name := range a.groups {
		in = append(in, membership{name, "the Pod names it"})
	}
	layers = []layer{{profile: p.Defaults, from: "defaults"}}
	for i, m := range slices.Backward(in) { // the earlier wins, so it comes later
		first := slices.IndexFunc(in, func(other membership) bool { return other.group == m.group })
		if g, ok := p.Groups[m.group]; ok && first == i {
			layers, known = append(layers, layer{g.profile, "groups." + m.group, m.why}), true
		}
	}
	if entry != "" {
		layers = append(layers, layer{profile: u.profile, from: "users." + entry})
	}
	return layers, known
}

// entry returns the key under users that is for a user, empty if there is none.
func (p *profiles) entry(user string) (best string) {
	if _, ok := p.Users[user]; ok {
		return user
	}
	for _, pattern := range sortedKeys(p.Users) {
		if len(pattern) > len(best) && matches(pattern, user) {
			best = pattern
		}
	}
	return best
}

// matches reports whether a name has the form of a pattern, in which * stands for any characters.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	last := parts[len(parts)-1]
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, last)
}

// of returns a user's profile, merged from the defaults, the user's groups and the user's own entry. It
// reports whether the file knows the user.
func (p *profiles) of(a asked) (m profile, known bool) {
	layers, known := p.layers(a)
	for _, l := range layers {
		m.Override = append(m.Override, l.Override...)
		m.Volumes = overlay(m.Volumes, l.Volumes, volumeName)
		m.additions.overlay(l.additions)
		m.InitContainers.overlay(l.InitContainers)
		m.ExtraContainers = overlay(m.ExtraContainers, l.ExtraContainers, containerName)
		m.ExtraInitContainers = overlay(m.ExtraInitContainers, l.ExtraInitContainers, containerName)
		m.Tolerations = overlay(m.Tolerations, l.Tolerations, wholly)
		m.ImagePullSecrets = overlay(m.ImagePullSecrets, l.ImagePullSecrets, wholly)
		m.Image = cmp.Or(l.Image, m.Image)
		m.PriorityClassName = cmp.Or(l.PriorityClassName, m.PriorityClassName)
		m.ContainerSecurityContext = merge(m.ContainerSecurityContext, l.ContainerSecurityContext)
		m.SecurityContext = merge(m.SecurityContext, l.SecurityContext)
		m.Affinity = merge(m.Affinity, l.Affinity)
		m.NodeSelector = with(m.NodeSelector, l.NodeSelector)
		m.Labels = with(m.Labels, l.Labels)
		m.Annotations = with(m.Annotations, l.Annotations)
	}
	// From the strongest: an amount that a stronger one overrules must not change another one.
	for _, l := range slices.Backward(layers) {
		m.Resources = stack(l.Resources, m.Resources)
	}
	return m, known
}

func (a *additions) overlay(top additions) {
	a.Env = overlay(a.Env, top.Env, envName)
	a.EnvFrom = overlay(a.EnvFrom, top.EnvFrom, wholly)
	a.VolumeMounts = overlay(a.VolumeMounts, top.VolumeMounts, mountPath)
}

func with(base, top map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil && top != nil {
		all = map[string]string{}
	}
	maps.Copy(all, top)
	return all
}

// overlay returns base with the elements of top. An element replaces the one with the same key, in its
// place. So the order stays, and a later variable can refer to an earlier one with $(VAR).
func overlay[T any](base, top []T, key func(T) string) []T {
	for _, v := range top {
		i := slices.IndexFunc(base, func(b T) bool { return key(b) == key(v) })
		if i >= 0 {
			base[i] = v
		} else {
			base = append(base, v)
		}
	}
	return base
}
