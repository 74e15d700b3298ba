package patch

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// What the API server would refuse under either failure policy, as a kube-apiserver 1.36 does it (pkg/apis/
// core/validation and apimachinery's ValidateAnnotations and ValidateLabels). It is held against the patch
// only where the patch brought it about: what was wrong before is the API server's to say.

// A flaw is something in a Pod that the API server refuses.
type flaw struct {
	key     string  // what identifies it, wherever it is in its list
	op      int     // the number of the op that brought it, 0 where none did by itself
	related pointer // whoever changed this brought it, where op is 0
	text    string
}

// checkIntroduced fails a patch that brings a flaw into the Pod.
func (a *application) checkIntroduced() error {
	found := a.malformedKeys()
	if a.before.get("spec") != a.after.get("spec") {
		found = append(found, flaws(a.after, a.before)...)
	}
	if len(found) == 0 {
		return nil
	}
	had := map[string]bool{}
	for _, f := range flaws(a.before, nil) {
		had[f.key] = true
	}
	for _, f := range found {
		switch {
		case had[f.key]:
		case f.op != 0:
			return failure(f.op, &a.given[f.op-1], "%s", f.text)
		default:
			return a.blame(f.related, "%s", f.text)
		}
	}
	return nil
}

// malformedKeys are the labels and annotations that the patch brings and that are malformed.
func (a *application) malformedKeys() []flaw {
	var found []flaw
	report := func(in, key, format string) {
		found = append(found, flaw{key: in + " " + key, related: pointer{"metadata", in, key}, text: fmt.Sprintf(format, shown(key))})
	}
	const form = "%s is malformed: it takes up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends"

	before, after := a.before.get("metadata", "labels"), a.after.get("metadata", "labels")
	if before != after {
		after.each(func(key string, value *node) {
			was := before.get(key)
			if was == nil && len(validation.IsQualifiedName(key)) > 0 {
				report("labels", key, "label key "+form+", after a DNS name and a slash or without")
			} else if !same(was, value, 0) && len(validation.IsValidLabelValue(value.text())) > 0 {
				report("labels", key, "the value of label "+form)
			}
		})
	}
	before, after = a.before.get("metadata", "annotations"), a.after.get("metadata", "annotations")
	if before != after {
		after.each(func(key string, _ *node) {
			// In annotations, unlike labels, the case of the DNS name does not matter.
			if before.get(key) == nil && len(validation.IsQualifiedName(strings.ToLower(key))) > 0 {
				report("annotations", key, "annotation key "+form+", after a DNS name and a slash or without")
			}
		})
	}
	return found
}

// flaws are those in the spec of a Pod; where it is known what it was before, of the containers' only those
// that are new since.
func flaws(pod, before *node) []flaw {
	spec := pod.get("spec")
	otherVolumes := before == nil || spec.get("volumes") != before.get("spec", "volumes")
	var found []flaw

	volumes := map[string]int{} // to the op that put it there
	for _, v := range spec.get("volumes").list() {
		name := v.get("name")
		op := latest(spec, spec.get("volumes"), v, name)
		if other, twice := volumes[name.text()]; twice {
			found = append(found, flaw{
				"volume " + name.text(), max(op, other), pointer{"spec", "volumes"},
				fmt.Sprintf("the Pod would have two volumes named %s: give the new one another name", shown(name.text())),
			})
		}
		volumes[name.text()] = op
	}

	containers := map[string]int{}
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, c := range spec.get(list).list() {
			name := c.get("name")
			op := latest(spec, spec.get(list), c, name)
			if other, twice := containers[name.text()]; twice {
				found = append(found, flaw{
					"container " + name.text(), max(op, other), pointer{"spec", list},
					fmt.Sprintf("the Pod would have two containers named %s, init containers included: give the new one another name", shown(name.text())),
				})
			}
			containers[name.text()] = op
			op = latest(spec, spec.get(list), c)
			if otherVolumes || !c.get("volumeMounts").untouched() {
				found = appendMountFlaws(found, volumes, c, op, list)
			}
			if before == nil || !c.get("env").untouched() {
				found = appendEnvFlaws(found, c, op, list)
			}
		}
	}
	return found
}

// appendMountFlaws appends those of the volumeMounts of a container, which came with op.
func appendMountFlaws(found []flaw, volumes map[string]int, container *node, op int, list string) []flaw {
	mounts := container.get("volumeMounts")
	owner := container.get("name").text()
	paths := make(map[string]*node, len(mounts.list()))
	for _, mount := range mounts.list() {
		name, path := mount.get("name"), mount.get("mountPath")
		if _, ok := volumes[name.text()]; !ok {
			found = append(found, flaw{
				"mount " + quote(owner) + name.text(), max(op, latest(mounts, mount, name)), pointer{"spec", "volumes"},
				fmt.Sprintf("container %s would mount volume %s, which the Pod would not have: add the volume or take away the mount", shown(owner), shown(name.text())),
			})
		}
		if other, twice := paths[path.text()]; twice {
			found = append(found, flaw{
				"path " + quote(owner) + path.text(), max(op, latest(mounts, mount, path), latest(other, other.get("mountPath"))),
				pointer{"spec", list},
				fmt.Sprintf("container %s would have two mounts at the same mountPath, of the volumes %s and %s", shown(owner), shown(other.get("name").text()), shown(name.text())),
			})
		}
		paths[path.text()] = mount
	}
	return found
}

// appendEnvFlaws appends those of the names in the env of a container, which came with op. It does not show
// the names: who writes NAME=secret for a name has a secret there.
func appendEnvFlaws(found []flaw, container *node, op int, list string) []flaw {
	env := container.get("env")
	for i, e := range env.list() {
		name := e.get("name")
		if len(validation.IsRelaxedEnvVarName(name.text())) > 0 {
			owner := container.get("name").text()
			found = append(found, flaw{
				"env " + quote(owner) + name.text(), max(op, latest(env, e, name)), pointer{"spec", list},
				fmt.Sprintf("the name of env %d of container %s is malformed: it takes printable ASCII characters but =", i, shown(owner)),
			})
		}
	}
	return found
}

// latest is the number of the last op that put one of the nodes there, 0 if none did.
func latest(nodes ...*node) int {
	op := 0
	for _, n := range nodes {
		if n != nil {
			op = max(op, n.op)
		}
	}
	return op
}
