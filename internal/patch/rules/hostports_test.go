package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestHostPorts(t *testing.T) {
	host := strings.Replace(spec(`"hostNetwork":true,`), `"image":"i"`, `"image":"i","ports":[{"containerPort":80,"hostPort":80}]`, 1)
	const refusal = `port 0 of container "main" would have a hostPort other than its containerPort, and the Pod uses the network of the host: set both, or remove hostPort, which the API server then sets`
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a completed patch names the endpoint's op": {strings.Replace(host, `"hostNetwork":true`, `"priority":0,"hostNetwork":false`, 1), `[{"op":"add","path":"/spec/containers/0/ports/0/hostPort","value":81},{"op":"add","path":"/spec/hostNetwork","value":true},{"op":"add","path":"/spec/priorityClassName","value":"a"}]`, `op 1 (add "/spec/containers/0/ports/0/hostPort"): ` + refusal},
		"another containerPort":                     {host, `[{"op":"replace","path":"/spec/containers/0/ports/0/containerPort","value":81}]`, `op 1 (replace "/spec/containers/0/ports/0/containerPort"): ` + refusal},
		"another hostPort":                          {host, `[{"op":"replace","path":"/spec/containers/0/ports/0/hostPort","value":81}]`, `op 1 (replace "/spec/containers/0/ports/0/hostPort"): ` + refusal},
	})
	patchtest.Accepted(t, map[string]patchtest.Case{
		"both ports":            {host, `[{"op":"replace","path":"/spec/containers/0/ports/0","value":{"containerPort":81,"hostPort":81}}]`},
		"no hostPort":           {host, `[{"op":"replace","path":"/spec/containers/0/ports/0","value":{"containerPort":81}}]`},
		"no port of the host":   {host, `[{"op":"replace","path":"/spec/containers/0/ports/0","value":{"containerPort":81,"hostPort":0}}]`},
		"a network of its own":  {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/ports","value":[{"containerPort":81,"hostPort":82}]}]`},
		"what was wrong before": {strings.Replace(host, `"hostPort":80`, `"hostPort":81`, 1), `[{"op":"add","path":"/spec/containers/0/tty","value":true}]`},
	})
}
