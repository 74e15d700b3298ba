package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

var volumeNamePlaces = []jsontree.Pointer{{"spec", "volumes", "*", "name"}}

// volumeNames refuses a patch by which two volumes have the same name.
func volumeNames(c *apply.Change, _ *Settings) []Finding {
	return introduced(c, volumeNamePlaces, func(pod *jsontree.Node, _ bool) (found []flaw) {
		spec := pod.Get("spec")
		volumes := spec.Get("volumes")
		ops := map[string]int{} // of the volumes by their names
		for _, volume := range volumes.List() {
			name := volume.Get("name")
			op := latest(spec, volumes, volume, name)
			if other, twice := ops[name.Text()]; twice {
				found = append(found, flaw{
					[2]string{"", name.Text()}, max(op, other), jsontree.Pointer{"spec", "volumes"},
					func() string {
						return fmt.Sprintf("the Pod would have two volumes named %s: give the new one another name", apply.Quote(name.Text()))
					},
				})
			}
			ops[name.Text()] = op
		}
		return found
	})
}
