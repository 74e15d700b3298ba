package jupyterhub

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// maxBytes bounds the profiles file. A ConfigMap holds at most 1 MiB; another file may be larger.
const maxBytes = 8 << 20

// placeholder stands for the user's safe name.
const placeholder = "{username}"

//go:embed profiles.yaml
var sample []byte

// profiles is the profiles file; profiles.yaml documents it.
type profiles struct {
	UnknownUsers string             `json:"unknownUsers"`
	Defaults     profile            `json:"defaults"`
	Groups       map[string]profile `json:"groups"`
	Users        map[string]user    `json:"users"`
}

type user struct {
	profile
	Groups []string `json:"groups"`
}

type profile struct {
	additions
	Volumes        []corev1.Volume `json:"volumes"`
	InitContainers additions       `json:"initContainers"`
}

// additions are what a container gets.
type additions struct {
	Env          []corev1.EnvVar      `json:"env"`
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts"`
}

// parse reads a profiles file. Its errors name keys and not values, because a value may be a secret.
func parse(text []byte) (*profiles, error) {
	j, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	p := new(profiles)
	strict, err := kjson.UnmarshalStrict(j, p)
	if err != nil {
		return nil, err
	}
	if len(strict) > 0 {
		return nil, strict[0] // only the first: an answer is one line
	}
	return p, p.validate()
}

func (p *profiles) validate() error {
	switch p.UnknownUsers {
	case "", "defaults", "refuse":
	default:
		return fmt.Errorf("unknownUsers: want defaults or refuse")
	}
	if err := p.Defaults.validate("defaults"); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Groups)) {
		g := p.Groups[name]
		if err := g.validate("groups." + name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		u := p.Users[name]
		if err := u.validate("users." + name); err != nil {
			return err
		}
		for _, g := range u.Groups {
			if _, ok := p.Groups[g]; !ok {
				return fmt.Errorf("users.%s.groups: there is no group %q: add it under groups", name, g)
			}
		}
	}
	return nil
}

func (p *profile) validate(where string) error {
	if err := unique(where+".volumes", "name", p.Volumes, volumeName); err != nil {
		return err
	}
	if err := p.additions.validate(where); err != nil {
		return err
	}
	return p.InitContainers.validate(where + ".initContainers")
}

func (a *additions) validate(where string) error {
	if err := unique(where+".env", "name", a.Env, envName); err != nil {
		return err
	}
	if err := unique(where+".volumeMounts", "mountPath", a.VolumeMounts, mountPath); err != nil {
		return err
	}
	for _, m := range a.VolumeMounts {
		// A misspelt placeholder would stay as it is and name one directory for all users.
		if strings.ContainsAny(strings.ReplaceAll(m.SubPath, placeholder, ""), "{}") {
			return fmt.Errorf("%s.volumeMounts: subPath of %q: the only placeholder is %s", where, m.MountPath, placeholder)
		}
	}
	return nil
}

// unique checks that each element of a list has a key, and that no two have the same.
func unique[T any](where, field string, list []T, key func(T) string) error {
	seen := map[string]bool{}
	for i, v := range list {
		k := key(v)
		if k == "" {
			return fmt.Errorf("%s: entry %d has no %s", where, i+1, field)
		}
		if seen[k] {
			return fmt.Errorf("%s: %q is there twice: remove one", where, k)
		}
		seen[k] = true
	}
	return nil
}

// The keys of list elements, in a profile and in a Pod.
func envName(e corev1.EnvVar) string    { return e.Name }
func volumeName(v corev1.Volume) string { return v.Name }
func mountPath(m corev1.VolumeMount) string {
	if m.MountPath == "" {
		return ""
	}
	return path.Clean(m.MountPath) // /data/ is /data
}

// of returns a user's profile, merged from the defaults, the user's groups and the user's own entry. It
// reports whether the user is listed.
func (p *profiles) of(name string) (merged profile, listed bool) {
	u, listed := p.Users[name]
	layers := []profile{p.Defaults}
	for _, g := range slices.Backward(u.Groups) { // the earlier wins, so it comes later
		layers = append(layers, p.Groups[g])
	}
	for _, l := range append(layers, u.profile) {
		merged.Volumes = overlay(merged.Volumes, l.Volumes, volumeName)
		merged.Env = overlay(merged.Env, l.Env, envName)
		merged.VolumeMounts = overlay(merged.VolumeMounts, l.VolumeMounts, mountPath)
		merged.InitContainers.Env = overlay(merged.InitContainers.Env, l.InitContainers.Env, envName)
		merged.InitContainers.VolumeMounts = overlay(merged.InitContainers.VolumeMounts, l.InitContainers.VolumeMounts, mountPath)
	}
	return merged, listed
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

// source returns the current profiles. Its zero value returns the built-in sample.
type source struct {
	file string

	mu     sync.Mutex
	text   []byte // as last read, nil before
	parsed *profiles
	err    error
}

// profiles reads the file each time and parses it if it has changed. To look only at its time and size would
// miss a change within one tick of the clock. Reading takes microseconds.
func (s *source) profiles() (*profiles, error) {
	name, text := "(the built-in sample)", sample
	if s.file != "" {
		var err error
		name = s.file
		if text, err = read(s.file); err != nil {
			return nil, fmt.Errorf("reading profiles: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text != nil && bytes.Equal(text, s.text) {
		return s.parsed, s.err
	}
	s.text = text
	if s.parsed, s.err = parse(text); s.err != nil {
		s.err = fmt.Errorf("reading profiles %s: %w", name, s.err)
		slog.Error("profiles are unusable", "file", name, "err", s.err)
		return nil, s.err
	}
	slog.Info("profiles read", "file", name, "users", len(s.parsed.Users), "groups", len(s.parsed.Groups))
	return s.parsed, nil
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBytes:
		return nil, fmt.Errorf("%s is larger than %d MiB", file, maxBytes>>20)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s is empty: want at least unknownUsers", file)
	}
	return text, nil
}
