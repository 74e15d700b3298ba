package require

import (
	"fmt"
	"regexp"
	"strings"
)

// The grammar of image references, by the distribution project and the container runtimes.
var (
	hostname  = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?$`)
	component = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	tag       = regexp.MustCompile(`^\w[\w.-]{0,127}$`)
	digest    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}$`)

	// By the grammar, sha256:… is a tag of docker.io/library/sha256, but containerd takes it for an ID.
	imageID = regexp.MustCompile(`^(?:sha256:)?[0-9A-Fa-f]{64}$`)
)

// repository returns the registry and path that an image reference names, as the container runtime reads it:
// busybox:1 is docker.io/library/busybox. It leaves out the tag and the digest. A reference that does not
// follow the grammar is an error, because the runtime could read it differently.
func repository(image string) (string, error) {
	if imageID.MatchString(image) {
		return "", fmt.Errorf("it is the ID of an image that a node may hold from anywhere")
	}
	name, d, hasDigest := strings.Cut(image, "@")
	if hasDigest && !digest.MatchString(d) {
		return "", fmt.Errorf("its digest is malformed")
	}
	// A colon after the last slash begins a tag; a colon before it begins a port.
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		if !tag.MatchString(name[i+1:]) {
			return "", fmt.Errorf("its tag is malformed")
		}
		name = name[:i]
	}
	host, path, ok := strings.Cut(name, "/")
	if !ok || !isHost(host) {
		host, path = "docker.io", name
	}
	host = strings.ToLower(host)
	if host == "index.docker.io" {
		host = "docker.io" // Docker's older name for it
	}
	if host == "docker.io" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	if !hostname.MatchString(host) {
		return "", fmt.Errorf("its registry is malformed")
	}
	for c := range strings.SplitSeq(path, "/") {
		if !component.MatchString(c) {
			return "", fmt.Errorf("its path is malformed")
		}
	}
	return host + "/" + path, nil
}

// isHost reports whether the first part of a reference is a registry, and not part of a path on Docker Hub.
// It decides as the runtimes do, with one exception: some runtimes take a part with upper case for a host.
// Here it is a malformed path.
func isHost(s string) bool {
	return strings.ContainsAny(s, ".:") || s == "localhost"
}

// parseRegistry reads an entry of the list: a host, or a host and the beginning of a path.
func parseRegistry(entry string) (string, error) {
	host, path, _ := strings.Cut(strings.TrimSuffix(entry, "/"), "/")
	if !isHost(host) {
		return "", fmt.Errorf("entry %q names no registry: want a host such as quay.io, or a host and a path such as docker.io/library", entry)
	}
	if !hostname.MatchString(host) {
		return "", fmt.Errorf("entry %q: want a host such as quay.io or registry.example:5000, with neither scheme nor pattern", entry)
	}
	host = strings.ToLower(host)
	if host == "index.docker.io" {
		host = "docker.io"
	}
	if path == "" {
		return host, nil
	}
	for c := range strings.SplitSeq(path, "/") {
		if !component.MatchString(c) {
			return "", fmt.Errorf("entry %q: want a path of lower-case names, with neither tag nor pattern", entry)
		}
	}
	return host + "/" + path, nil
}

// within reports whether a repository is in a registry or below a path. It compares whole names:
// quay.io/jupyter does not allow quay.io/jupyterhub.
func within(repository, registry string) bool {
	return repository == registry || strings.HasPrefix(repository, registry+"/")
}
