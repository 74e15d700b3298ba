package rules

import "github.com/txn2/amp/internal/patch/jsontree"

// containerLists are the fields of a Pod's spec that hold containers, in the order in which rules look at them.
var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

// inContainers returns the places of a field in all containers.
func inContainers(field string) []jsontree.Pointer {
	var places []jsontree.Pointer
	for _, list := range containerLists {
		places = append(places, jsontree.Pointer{"spec", list, "*", field})
	}
	return places
}

// eachContainer calls visit with each container of a Pod, the field of the spec that holds it, and the number
// of the last op that put the container as a whole where it is, 0 if none did.
func eachContainer(pod *jsontree.Node, visit func(container *jsontree.Node, list string, op int)) {
	spec := pod.Get("spec")
	for _, list := range containerLists {
		containers := spec.Get(list)
		for _, container := range containers.List() {
			visit(container, list, latest(spec, containers, container))
		}
	}
}
