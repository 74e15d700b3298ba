package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

var mountPlaces = inContainers("volumeMounts")

// mountPaths refuses a patch by which a container has two mounts at the same mountPath.
func mountPaths(c *apply.Change, _ *Settings) []Finding {
	return introduced(c, mountPlaces, func(pod *jsontree.Node, all bool) (found []flaw) {
		eachContainer(pod, func(container *jsontree.Node, list string, op int) {
			mounts := container.Get("volumeMounts")
			if !all && mounts.Untouched() {
				return
			}
			at := make(map[string]*jsontree.Node, len(mounts.List())) // the mounts by their paths
			for _, mount := range mounts.List() {
				path := mount.Get("mountPath")
				if other, twice := at[path.Text()]; twice {
					owner := container.Get("name").Text()
					found = append(found, flaw{
						[2]string{owner, path.Text()}, max(op, latest(mounts, mount, path, other, other.Get("mountPath"))), jsontree.Pointer{"spec", list},
						func() string {
							return fmt.Sprintf("container %s would have two mounts at the same mountPath, of the volumes %s and %s",
								apply.Quote(owner), apply.Quote(other.Get("name").Text()), apply.Quote(mount.Get("name").Text()))
						},
					})
				}
				at[path.Text()] = mount
			}
		})
		return found
	})
}
