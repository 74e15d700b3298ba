package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

// resources returns a Pod whose container has these resources.
func resources(text string) string {
	return strings.Replace(patchtest.Bare, `"image":"i"`, `"image":"i","resources":`+text, 1)
}

var (
	cpu = resources(`{"limits":{"cpu":"1"},"requests":{"cpu":"1"}}`) // the request may come from the limit
	gpu = resources(`{"limits":{"nvidia.com/gpu":"1"},"requests":{"nvidia.com/gpu":"1"}}`)
)

func TestRequests(t *testing.T) {
	const (
		at     = "/spec/containers/0/resources/"
		remedy = ": change both in the same patch, or remove the request, which the API server then takes from the limit"
		more   = `container "main" would request more "cpu" than its limit` + remedy
		equal  = `container "main" would request another amount of "nvidia.com/gpu" than its limit, and for this resource they must be equal` + remedy
	)
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a lower limit":         {cpu, `[{"op":"replace","path":"` + at + `limits/cpu","value":"500m"}]`, `op 1 (replace "` + at + `limits/cpu"): ` + more},
		"a higher request":      {cpu, `[{"op":"replace","path":"` + at + `requests/cpu","value":2}]`, `op 1 (replace "` + at + `requests/cpu"): ` + more},
		"more GPUs":             {gpu, `[{"op":"replace","path":"` + at + `limits/nvidia.com~1gpu","value":"2"}]`, `op 1 (replace "` + at + `limits/nvidia.com~1gpu"): ` + equal},
		"fewer GPUs requested":  {gpu, `[{"op":"replace","path":"` + at + `requests/nvidia.com~1gpu","value":"0"}]`, `op 1 (replace "` + at + `requests/nvidia.com~1gpu"): ` + equal},
		"no limit of GPUs":      {gpu, `[{"op":"remove","path":"` + at + `limits"}]`, `op 1 (remove "` + at + `limits"): container "main" would request "nvidia.com/gpu" without a limit, which this resource needs: set the limit to the same value, or remove the request`},
		"a sidecar":             {patchtest.Bare, `[{"op":"add","path":"/spec/containers/-","value":{"name":"side","image":"i","resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}}}]`, `op 1 (add "/spec/containers/-"): container "side" would request more "cpu" than its limit` + remedy},
		"the Pod as a whole":    {patchtest.Bare, `[{"op":"add","path":"/spec/resources","value":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}}]`, `op 1 (add "/spec/resources"): the Pod would request more "cpu" than its limit` + remedy},
		"huge pages of an init": {patchtest.Bare, `[{"op":"add","path":"/spec/initContainers","value":[{"name":"a","image":"i","resources":{"limits":{"hugepages-2Mi":"4Mi"},"requests":{"hugepages-2Mi":"2Mi"}}}]}]`, `op 1 (add "/spec/initContainers"): container "a" would request another amount of "hugepages-2Mi" than its limit, and for this resource they must be equal` + remedy},
	})
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a higher limit":                  {cpu, `[{"op":"replace","path":"` + at + `limits/cpu","value":"2"}]`},
		"a lower limit without a request": {cpu, `[{"op":"replace","path":"` + at + `limits/cpu","value":"500m"},{"op":"remove","path":"` + at + `requests/cpu"}]`},
		"both lower":                      {cpu, `[{"op":"replace","path":"` + at + `limits/cpu","value":"500m"},{"op":"replace","path":"` + at + `requests/cpu","value":"0.5"}]`},
		"less than a thousandth":          {cpu, `[{"op":"replace","path":"` + at + `limits/cpu","value":"0.0001"},{"op":"replace","path":"` + at + `requests/cpu","value":"0.0005"}]`},
		"GPUs where there were none":      {patchtest.Bare, `[{"op":"add","path":"` + at + `limits/nvidia.com~1gpu","value":"1"}]`},
		"what was wrong before":           {resources(`{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}`), `[{"op":"replace","path":"` + at + `limits/cpu","value":"500m"}]`},
		"a limit beyond all others":       {patchtest.Bare, `[{"op":"add","path":"` + at + `limits","value":{"cpu":"1E"}},{"op":"add","path":"` + at + `requests","value":{"cpu":"1e3"}}]`},
	})
}
