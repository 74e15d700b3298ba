package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

// Each of these took a minute, or all memory, when something read the quantity.
func TestSlowQuantities(t *testing.T) {
	const exponent = ` must not have an exponent of more than 2 digits: write a number and a unit, such as "500m", "1Gi" or "1G"`
	const limit = `spec.containers[0].resources.limits["cpu"]`
	const at = `op 1 (add "/spec/containers/0/resources/limits/cpu"): `
	digits := strings.Repeat("1", 65)
	op := func(path, value string) string { return `[{"op":"add","path":"` + path + `","value":` + value + `}]` }
	cpu := func(value string) string { return op("/spec/containers/0/resources/limits/cpu", value) }
	// No API server sends such a Pod, but someone else may.
	slow := strings.Replace(patchtest.Bare, `"image":"i"`, `"image":"i","resources":{"limits":{"cpu":"1e-99999999"}}`, 1)
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"one of the Pod that is tested":          {slow, `[{"op":"add","path":"/metadata/labels/a","value":"b"},{"op":"test","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"1e-99999999"}}}]`, `op 2 (test "/spec/containers/0/resources"): ` + limit + exponent},
		"one of the Pod that is moved":           {slow, `[{"op":"move","from":"/spec/containers/0","path":"/spec/containers/-"}]`, `op 1 (move "/spec/containers/-" from "/spec/containers/0"): ` + limit + exponent},
		"one of the Pod, in a copy that is gone": {slow, `[{"op":"copy","from":"/spec/containers/0","path":"/spec/x"},{"op":"replace","path":"/spec/x","value":1}]`, `op 1 (copy "/spec/x" from "/spec/containers/0"): ` + limit + exponent},
		"a negative exponent":                    {patchtest.Bare, cpu(`"1e-99999999"`), at + limit + exponent},
		"a positive one":                         {patchtest.Bare, cpu(`"1E99999999"`), at + limit + exponent},
		"with a sign and zeros":                  {patchtest.Bare, cpu(`"-1.5e+0000999"`), at + limit + exponent},
		"as a number":                            {patchtest.Bare, cpu(`1e-999999`), at + limit + exponent},
		"spelt with escapes":                     {patchtest.Bare, cpu(`"\u0031\u0065-99999999"`), at + limit + exponent},
		"65 digits":                              {patchtest.Bare, cpu(`"` + digits + `"`), at + limit + " must be a quantity of at most 64 characters"},
		"in a whole container":                   {patchtest.Bare, op("/spec/containers/-", `{"name":"a","image":"b","resources":{"requests":{"x/y":"1e-9999999"}}}`), `op 1 (add "/spec/containers/-"): spec.containers[1].resources.requests["x/y"]` + exponent},
		"the size of a volume":                   {patchtest.Bare, op("/spec/volumes/-", `{"name":"a","emptyDir":{"sizeLimit":"1e9999999"}}`), `op 1 (add "/spec/volumes/-"): spec.volumes[0].emptyDir.sizeLimit` + exponent},
		"a divisor":                              {patchtest.Bare, op("/spec/containers/0/env/-", `{"name":"a","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"1e-9999999"}}}`), `op 1 (add "/spec/containers/0/env/-"): spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor` + exponent},
		"the Pod's own resources":                {patchtest.Bare, op("/spec/resources", `{"limits":{"cpu":"1e-9999999"}}`), `op 1 (add "/spec/resources"): spec.resources.limits["cpu"]` + exponent},
		"copied from where it is a text":         {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{}}},{"op":"add","path":"/metadata/annotations/a","value":"1e-99999999"},{"op":"copy","from":"/metadata/annotations/a","path":"/spec/containers/0/resources/limits/cpu"}]`, `op 3 (copy "/spec/containers/0/resources/limits/cpu" from "/metadata/annotations/a"): ` + limit + exponent},
	})
	patchtest.Warned(t, map[string]patchtest.Warning{
		"one of the Pod, beside an unknown field": {Pod: slow, Ops: op("/spec/containers/0/x", "1"), Warnings: []string{`op 1 (add "/spec/containers/0/x"): spec.containers[0].x is unknown to amp's Kubernetes 1.36 API`}},
	})
	patchtest.Accepted(t, map[string]patchtest.Case{
		"an exponent of two digits": {patchtest.Bare, cpu(`"1e10"`)},
		"with zeros before it":      {patchtest.Bare, cpu(`"1e-0003"`)},
		"a unit":                    {patchtest.Bare, cpu(`"1Ei"`)},
		"an exponent of nothing":    {patchtest.Bare, cpu(`"e313"`)},
		"the same, beside a move":   {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/resources/limits/cpu","value":"e313"},{"op":"move","from":"/spec/containers/0/image","path":"/spec/containers/0/image"}]`},
		"the same text elsewhere":   {patchtest.Bare, op("/spec/containers/0/env/-", `{"name":"a","value":"1e-99999999"}`)},
		"many digits elsewhere":     {patchtest.Bare, op("/metadata/annotations/a", `"`+digits+`"`)},
	})
}
