package rules

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

var envPlaces = inContainers("env")

// envNames refuses a patch that brings a malformed name of an environment variable. It does not show the
// name: if an endpoint wrongly sends NAME=value as the name, the value may be a secret.
func envNames(c *apply.Change, _ *Settings) []Finding {
	return introduced(c, envPlaces, func(pod *jsontree.Node, all bool) (found []flaw) {
		eachContainer(pod, func(container *jsontree.Node, list string, op int) {
			env := container.Get("env")
			if !all && env.Untouched() {
				return
			}
			came := op == 0 && env.Op() == 0 // then what is untouched in it is where it was
			for i, variable := range env.List() {
				if !all && came && variable.Untouched() {
					continue
				}
				name := variable.Get("name")
				if len(validation.IsRelaxedEnvVarName(name.Text())) == 0 {
					continue
				}
				owner := container.Get("name").Text()
				malformed := name.Text()
				found = append(found, flaw{
					[2]string{owner, malformed}, max(op, latest(env, variable, name)), jsontree.Pointer{"spec", list},
					func() string { return badEnvName(malformed, i, owner) },
				})
			}
		})
		return found
	})
}

// badEnvName says what is wrong with the name of variable i of a container.
func badEnvName(name string, i int, container string) string {
	if name == "" {
		return fmt.Sprintf(`env %d of container %s has no "name": write {"name":"…","value":"…"}`, i, apply.Quote(container))
	}
	return fmt.Sprintf("the name of env %d of container %s is malformed: use printable ASCII characters except =", i, apply.Quote(container))
}
