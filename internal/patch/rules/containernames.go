package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

var containerNamePlaces = inContainers("name")

// containerNames refuses a patch by which two containers have the same name, init containers included.
func containerNames(c *apply.Change, _ *Settings) []Finding {
	return introduced(c, containerNamePlaces, func(pod *jsontree.Node, _ bool) (found []flaw) {
		ops := map[string]int{} // of the containers by their names
		eachContainer(pod, func(container *jsontree.Node, list string, op int) {
			name := container.Get("name")
			op = max(op, name.Op())
			if other, twice := ops[name.Text()]; twice {
				found = append(found, flaw{
					[2]string{"", name.Text()}, max(op, other), jsontree.Pointer{"spec", list},
					func() string {
						return fmt.Sprintf("the Pod would have two containers named %s, init containers included: give the new one another name", apply.Quote(name.Text()))
					},
				})
			}
			ops[name.Text()] = op
		})
		return found
	})
}
