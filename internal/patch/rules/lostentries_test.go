package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

// listed is a Pod with an entry in each list whose entries have names.
const listed = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns"},"spec":{` +
	`"imagePullSecrets":[{"name":"pull"}],"hostAliases":[{"ip":"10.9.8.7","hostnames":["secret"]}],` +
	`"tolerations":[{"key":"gpu","operator":"Exists"},{"operator":"Exists"}],"topologySpreadConstraints":[{"topologyKey":"zone"}],"readinessGates":[{"conditionType":"ready"}],` +
	`"volumes":[{"name":"token","emptyDir":{}},{"name":"disk","emptyDir":{}},{"name":"conf","configMap":{"name":"conf","items":[{"key":"a.yaml","path":"a"}]}},` +
	`{"name":"all","projected":{"sources":[{"secret":{"name":"keys"}},{"downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}},{"configMap":{"name":"keys"}},{"serviceAccountToken":{"path":"token"}},` +
	`{"clusterTrustBundle":{"name":"ca","path":"ca.pem"}},{"podCertificate":{"keyType":"ED25519","signerName":"e/s","credentialBundlePath":"pair.pem"}}]}}],"schedulingGates":[{"name":"gate"}],"resourceClaims":[{"name":"claim"}],"securityContext":{"sysctls":[{"name":"net.x","value":"secret"}]},` +
	`"initContainers":[{"name":"init","image":"i"}],` +
	`"containers":[{"name":"main","image":"i","volumeMounts":[{"name":"token","mountPath":"/t"}],"volumeDevices":[{"name":"disk","devicePath":"/dev/x"}],` +
	`"ports":[{"containerPort":80,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP"},{"containerPort":53,"protocol":"TCP"}],"env":[{"name":"NB_PREFIX","value":"secret"},{"name":"HOME","value":"secret"}],"envFrom":[{"secretRef":{"name":"keys"}},{"configMapRef":{"name":"conf"}},{"secretRef":{"name":"conf"}}],` +
	`"resources":{"limits":{"cpu":"1","memory":"1Gi"},"claims":[{"name":"claim"}]},"resizePolicy":[{"resourceName":"cpu"}],"command":["secret"]}]}}`

func TestLostEntries(t *testing.T) {
	one := func(path, value, dropped, remedy string) patchtest.Warning {
		return patchtest.Warning{Pod: listed, Ops: `[{"op":"add","path":"` + path + `","value":` + value + `}]`,
			Warnings: []string{`op 1 (add "` + path + `"): drops ` + dropped + ` that the Pod had: ` + remedy + ` to keep the others`}}
	}
	list := func(path, value, dropped string) patchtest.Warning {
		return one(path, value, dropped, "add "+path+"/-")
	}
	patchtest.Warned(t, map[string]patchtest.Warning{
		"a list of variables":                list("/spec/containers/0/env", `[{"name":"A","value":"1"},{"name":"HOME","value":"x"}]`, `"NB_PREFIX"`),
		"of sources of variables":            list("/spec/containers/0/envFrom", `[{"configMapRef":{"name":"conf"}},{"secretRef":{"name":"keys"}}]`, `"conf"`),
		"of mounts":                          list("/spec/containers/0/volumeMounts", `[{"name":"token","mountPath":"/u"}]`, `"/t"`),
		"of devices":                         list("/spec/containers/0/volumeDevices", `[]`, `"/dev/x"`),
		"of ports":                           list("/spec/containers/0/ports", `[{"containerPort":53}]`, `"80", "53"`),
		"of resize policies":                 list("/spec/containers/0/resizePolicy", `[]`, `"cpu"`),
		"of claims of a container":           list("/spec/containers/0/resources/claims", `[]`, `"claim"`),
		"of tolerations":                     list("/spec/tolerations", `[{"key":"x","operator":"Exists"}]`, `"gpu"`),
		"of pull secrets":                    list("/spec/imagePullSecrets", `[{"name":"x"}]`, `"pull"`),
		"of files of a ConfigMap":            list("/spec/volumes/2/configMap/items", `[{"key":"a.yaml","path":"b"}]`, `"a"`),
		"of files about the Pod":             list("/spec/volumes/3/projected/sources/1/downwardAPI/items", `[{"path":"name","fieldRef":{"fieldPath":"metadata.name"}}]`, `"labels"`),
		"of the other sources of files":      list("/spec/volumes/3/projected/sources", `[{"secret":{"name":"keys"}},{"serviceAccountToken":{"path":"token"}},{"clusterTrustBundle":{"name":"ca","path":"ca.pem"}}]`, `"keys", "pair.pem"`),
		"of sources of files":                list("/spec/volumes/3/projected/sources", `[{"configMap":{"name":"keys"}}]`, `"keys", "token", "ca.pem" and 1 more`),
		"of init containers":                 list("/spec/initContainers", `[{"name":"x","image":"i"}]`, `"init"`),
		"of containers":                      list("/spec/containers", `[{"name":"x","image":"i"}]`, `"main"`),
		"of spread constraints":              list("/spec/topologySpreadConstraints", `[]`, `"zone"`),
		"of readiness gates":                 list("/spec/readinessGates", `[]`, `"ready"`),
		"of scheduling gates":                list("/spec/schedulingGates", `[]`, `"gate"`),
		"of resource claims":                 list("/spec/resourceClaims", `[]`, `"claim"`),
		"of sysctls":                         list("/spec/securityContext/sysctls", `[]`, `"net.x"`),
		"of addresses, which no event shows": list("/spec/hostAliases", `[{"ip":"10.0.0.1"}]`, `entries`),
		"a map that loses keys": {
			Pod:      patchtest.Rich,
			Ops:      `[{"op":"add","path":"/metadata/annotations","value":{"c~d":"2","x":"y"}}]`,
			Warnings: []string{`op 1 (add "/metadata/annotations"): drops "a/b" that the Pod had: add single keys to keep the others`},
		},
		"a map that is replaced": {
			Pod:      patchtest.Rich,
			Ops:      `[{"op":"replace","path":"/metadata/annotations","value":{"x":"y"}}]`,
			Warnings: []string{`op 1 (replace "/metadata/annotations"): drops "a/b", "c~d" that the Pod had: add single keys to keep the others`},
		},
		"limits that are replaced": {
			Pod:      listed,
			Ops:      `[{"op":"replace","path":"/spec/containers/0/resources/limits","value":{"nvidia.com/gpu":"1"}}]`,
			Warnings: []string{`op 1 (replace "/spec/containers/0/resources/limits"): drops "cpu", "memory" that the Pod had: add single keys to keep the others`},
		},
		"a list that is replaced": {
			Pod:      listed,
			Ops:      `[{"op":"replace","path":"/spec/containers/-1/env","value":[]}]`,
			Warnings: []string{`op 1 (replace "/spec/containers/-1/env"): drops "NB_PREFIX", "HOME" that the Pod had: add /spec/containers/-1/env/- to keep the others`},
		},
		"a container that is replaced": {
			Pod:      patchtest.Rich,
			Ops:      `[{"op":"replace","path":"/spec/containers/0","value":{"name":"main","image":"j"}}]`,
			Warnings: []string{`op 1 (replace "/spec/containers/0"): drops "env", "volumeMounts", "securityContext" that the Pod had: add single keys to keep the others`},
		},
		"more keys than are named": {
			Pod:      strings.Replace(patchtest.Bare, `"spec":{`, `"spec":{"x":{"a":1,"b":1,"c":1,"d":1},`, 1),
			Ops:      `[{"op":"add","path":"/spec/x","value":{}},{"op":"remove","path":"/spec/x"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
			Warnings: []string{`op 1 (add "/spec/x"): drops "a", "b", "c" and 1 more that the Pod had: add single keys to keep the others`},
		},
		"a list in the place of one that an earlier op put there": {
			Pod:      listed,
			Ops:      `[{"op":"add","path":"/spec/imagePullSecrets","value":[{"name":"x"}]},{"op":"add","path":"/spec/imagePullSecrets","value":[{"name":"y"}]}]`,
			Warnings: []string{`op 1 (add "/spec/imagePullSecrets"): drops "pull" that the Pod had: add /spec/imagePullSecrets/- to keep the others`},
		},
		"a map with other losses": {
			Pod:      patchtest.Rich,
			Ops:      `[{"op":"add","path":"/spec/volumes/0/x","value":1},{"op":"remove","path":"/spec/volumes/0/x"},{"op":"add","path":"/metadata","value":{"name":"w","namespace":"ns"}}]`,
			Warnings: []string{`op 3 (add "/metadata"): drops "labels", "annotations" that the Pod had: add single keys to keep the others`},
		},
	})
}

func TestLostEntriesAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"what the API server computes again":      {`{"apiVersion":"v1","kind":"Pod","spec":{"priority":1,"preemptionPolicy":"Never","priorityClassName":"a","runtimeClassName":"a","overhead":{"cpu":"1"},"containers":[]}}`, `[{"op":"replace","path":"/spec","value":{"priorityClassName":"a","runtimeClassName":"b","containers":[]}}]`},
		"a map written anew that keeps every key": {patchtest.Rich, `[{"op":"add","path":"/metadata/labels","value":{"app":"x","y":"z"}}]`},
		"a list that keeps every entry":           {listed, `[{"op":"replace","path":"/spec/containers/0/env","value":[{"name":"HOME"},{"name":"A"},{"name":"NB_PREFIX"}]}]`},
		"a list without names":                    {listed, `[{"op":"replace","path":"/spec/containers/0/command","value":["x"]}]`},
		"what a later op puts back":               {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations","value":{"x":"y"}},{"op":"add","path":"/metadata/annotations/a~1b","value":"3"},{"op":"add","path":"/metadata/annotations/c~0d","value":"3"}]`},
		"a list that is filled again":             {listed, `[{"op":"replace","path":"/spec/containers/0/env","value":[]},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"HOME"}},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"NB_PREFIX"}}]`},
		"what an earlier op brought":              {patchtest.Bare, `[{"op":"add","path":"/metadata/labels/a","value":"b"},{"op":"replace","path":"/metadata/labels","value":{"c":"d"}}]`},
		"an entry that gets another source":       {listed, `[{"op":"replace","path":"/spec/volumes/1","value":{"name":"disk","hostPath":{"path":"/x"}}},{"op":"replace","path":"/spec/containers/0/env/0","value":{"name":"NB_PREFIX","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}}]`},
		"a remove, which says what it does":       {listed, `[{"op":"remove","path":"/spec/containers/0/env"}]`},
		"a value of another kind":                 {strings.Replace(patchtest.Bare, `"spec":{`, `"spec":{"x":{"a":1},`, 1), `[{"op":"replace","path":"/spec/x","value":[]},{"op":"remove","path":"/spec/x"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
	})
}
