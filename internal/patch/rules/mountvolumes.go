package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

var (
	volumePlaces         = []jsontree.Pointer{{"spec", "volumes"}}
	volumeAndMountPlaces = append(inContainers("volumeMounts"), volumePlaces...)
)

// mountVolumes refuses a patch by which a container mounts a volume that the Pod does not have.
func mountVolumes(c *apply.Change, _ *Settings) []Finding {
	otherVolumes := touched(c, volumePlaces)
	return introduced(c, volumeAndMountPlaces, func(pod *jsontree.Node, all bool) (found []flaw) {
		volumes := map[string]bool{} // by their names
		for _, volume := range pod.Get("spec", "volumes").List() {
			volumes[volume.Get("name").Text()] = true
		}
		eachContainer(pod, func(container *jsontree.Node, _ string, op int) {
			mounts := container.Get("volumeMounts")
			if !all && !otherVolumes && mounts.Untouched() {
				return
			}
			for _, mount := range mounts.List() {
				name := mount.Get("name")
				if volumes[name.Text()] {
					continue
				}
				owner := container.Get("name").Text()
				found = append(found, flaw{
					[2]string{owner, name.Text()}, max(op, latest(mounts, mount, name)), jsontree.Pointer{"spec", "volumes"},
					func() string {
						return fmt.Sprintf("container %s would mount volume %s, which the Pod would not have: add the volume or remove the mount",
							apply.Quote(owner), apply.Quote(name.Text()))
					},
				})
			}
		})
		return found
	})
}
