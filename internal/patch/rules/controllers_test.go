package rules_test

import (
	"fmt"
	"testing"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/patchtest"
)

// pod returns a Pod of the controller of that kind, with what the controller writes into metadata and spec.
func pod(kind, metadata, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x-0","namespace":"ns","labels":{"app":"w","controller-revision-hash":"1"},%s`+
		`"ownerReferences":[{"apiVersion":"v1","kind":"PodGroup","name":"g","uid":"v"},{"apiVersion":"apps/v1","kind":%q,"name":"x","uid":"u","controller":true}]},`+
		`"spec":{%s"containers":[{"name":"main","image":"i"}],"restartPolicy":"Always"}}`, metadata, kind, spec)
}

var (
	term        = `{"matchFields":[{"key":"metadata.name","operator":"In","values":["node-1"]}]}`
	affinity    = `{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` + term + `]}}}`
	daemon      = pod("DaemonSet", ``, `"affinity":`+affinity+`,`)
	stateful    = pod("StatefulSet", ``, `"hostname":"x-0","subdomain":"x","volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"data-x-0"}},{"name":"tmp","emptyDir":{}}],`)
	indexed     = pod("Job", `"annotations":{"batch.kubernetes.io/job-completion-index":"0","batch.kubernetes.io/job-index-failure-count":"1"},`, `"hostname":"x-0",`)
	job         = pod("Job", ``, `"hostname":"a",`)
	replicaSet  = pod("ReplicaSet", ``, ``)
	replication = pod("ReplicationController", ``, ``)
	custom      = pod("Sandbox", ``, `"hostname":"a",`)
)

const (
	terms    = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms"
	keepNode = `the Pod belongs to DaemonSet "x", which finds it by its node: keep matchFields metadata.name in each required nodeSelectorTerm, and add matchExpressions to the same term`
	keepData = `the Pod belongs to StatefulSet "x", which finds it by the volumes of its claims: keep "data" with its persistentVolumeClaim, and only add volumes`
)

func TestControllers(t *testing.T) {
	pool := `{"matchExpressions":[{"key":"pool","operator":"In","values":["a"]}]}`
	other := `{"matchFields":[{"key":"metadata.name","operator":"In","values":["node-2"]}]}`
	refused := map[string]patchtest.Refusal{
		"labels without one that the Pod had": {patchtest.Owned, `[{"op":"add","path":"/metadata/labels","value":{"hash":"1","x":"y"}}]`, `op 1 (add "/metadata/labels"): the Pod belongs to ReplicaSet "w", which finds it by its labels: keep "app" unchanged, and only add labels`},
		"a label with another value":          {patchtest.Owned, `[{"op":"replace","path":"/metadata/labels/hash","value":"2"}]`, `op 1 (replace "/metadata/labels/hash"): the Pod belongs to ReplicaSet "w", which finds it by its labels: keep "hash" unchanged, and only add labels`},
		"all annotations replaced":            {indexed, `[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]`, `op 1 (add "/metadata/annotations"): the Pod belongs to Job "x", which finds it by its index: keep the annotation batch.kubernetes.io/job-completion-index unchanged`},
		"another index":                       {indexed, `[{"op":"replace","path":"/metadata/annotations/batch.kubernetes.io~1job-completion-index","value":"1"}]`, `op 1 (replace "/metadata/annotations/batch.kubernetes.io~1job-completion-index"): the Pod belongs to Job "x", which finds it by its index: keep the annotation batch.kubernetes.io/job-completion-index unchanged`},
		"the failures of an index gone":       {indexed, `[{"op":"remove","path":"/metadata/annotations/batch.kubernetes.io~1job-index-failure-count"}]`, `op 1 (remove "/metadata/annotations/batch.kubernetes.io~1job-index-failure-count"): the Pod belongs to Job "x", which counts the failures of its index there: keep the annotation batch.kubernetes.io/job-index-failure-count unchanged`},
		"the hostname of an index":            {indexed, `[{"op":"replace","path":"/spec/hostname","value":"b"}]`, `op 1 (replace "/spec/hostname"): the Pod belongs to Job "x", which gives it a DNS name of its own: keep spec.hostname unchanged`},
		"the claim's volume gone":             {stateful, `[{"op":"replace","path":"/spec/volumes","value":[{"name":"tmp","emptyDir":{}}]}]`, `op 1 (replace "/spec/volumes"): ` + keepData},
		"the claim's volume with other data":  {stateful, `[{"op":"replace","path":"/spec/volumes/0","value":{"name":"data","emptyDir":{}}}]`, `op 1 (replace "/spec/volumes/0"): ` + keepData},
		"another claim":                       {stateful, `[{"op":"replace","path":"/spec/volumes/0/persistentVolumeClaim/claimName","value":"data-x-1"}]`, `op 1 (replace "/spec/volumes/0/persistentVolumeClaim/claimName"): ` + keepData},
		"the claim's volume by another name":  {stateful, `[{"op":"replace","path":"/spec/volumes/0/name","value":"d"}]`, `op 1 (replace "/spec/volumes/0/name"): ` + keepData},
		"a StatefulSet's hostname":            {stateful, `[{"op":"replace","path":"/spec/hostname","value":"b"}]`, `op 1 (replace "/spec/hostname"): the Pod belongs to StatefulSet "x", which gives it a DNS name of its own: keep spec.hostname unchanged`},
		"a StatefulSet's subdomain":           {stateful, `[{"op":"remove","path":"/spec/subdomain"}]`, `op 1 (remove "/spec/subdomain"): the Pod belongs to StatefulSet "x", which gives it a DNS name of its own: keep spec.subdomain unchanged`},
		"a mirror Pod": {replicaSet, `[{"op":"add","path":"/metadata/annotations/kubernetes.io~1config.mirror","value":"1"}]`,
			`op 1 (add "/metadata/annotations/kubernetes.io~1config.mirror"): the Pod belongs to ReplicaSet "x", which creates it, not a node: leave the annotation kubernetes.io/config.mirror out`},
		"the node of a DaemonSet's Pod": {daemon, `[{"op":"add","path":"/spec/nodeName","value":"node-2"}]`, `op 1 (add "/spec/nodeName"): the Pod belongs to DaemonSet "x", which finds it by its node: leave spec.nodeName as it is`},
	}
	for sentence, op := range map[string]string{
		"another affinity":                  `{"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` + pool + `]}}}}`,
		"another affinity, of Pods":         `{"op":"replace","path":"/spec/affinity","value":{"podAffinity":{}}}`,
		"no affinity":                       `{"op":"remove","path":"/spec/affinity"}`,
		"another node":                      `{"op":"replace","path":"` + terms + `/0","value":` + other + `}`,
		"another node in a term before":     `{"op":"add","path":"` + terms + `/0","value":` + other + `}`,
		"an alternative without the node":   `{"op":"add","path":"` + terms + `/-","value":` + pool + `}`,
		"an alternative before, without it": `{"op":"add","path":"` + terms + `/0","value":` + pool + `}`,
		"a second node":                     `{"op":"add","path":"` + terms + `/0/matchFields/0/values/-","value":"node-2"}`,
		"any node but this":                 `{"op":"replace","path":"` + terms + `/0/matchFields/0/operator","value":"NotIn"}`,
	} {
		var name, path string
		if _, err := fmt.Sscanf(op, `{"op":%q,"path":%q`, &name, &path); err != nil {
			t.Fatal(err)
		}
		refused["of a DaemonSet: "+sentence] = patchtest.Refusal{daemon, "[" + op + "]", fmt.Sprintf("op 1 (%s %s): %s", name, apply.Quote(path), keepNode)}
	}
	for _, p := range []struct{ kind, pod string }{
		{"ReplicaSet", replicaSet}, {"ReplicationController", replication}, {"DaemonSet", daemon}, {"StatefulSet", stateful}, {"Job", job},
	} {
		refused["another end of a Pod of a "+p.kind] = patchtest.Refusal{p.pod, `[{"op":"replace","path":"/spec/restartPolicy","value":"Never"}]`,
			fmt.Sprintf(`op 1 (replace "/spec/restartPolicy"): the Pod belongs to %s "x", which replaces Pods by how they end: keep spec.restartPolicy unchanged`, p.kind)}
		refused["the revision of a Pod of a "+p.kind] = patchtest.Refusal{p.pod, `[{"op":"remove","path":"/metadata/labels/controller-revision-hash"}]`,
			fmt.Sprintf(`op 1 (remove "/metadata/labels/controller-revision-hash"): the Pod belongs to %s "x", which finds it by its labels: keep "controller-revision-hash" unchanged, and only add labels`, p.kind)}
	}
	patchtest.Refused(t, refused)
}

func TestControllersAccept(t *testing.T) {
	accepted := map[string]patchtest.Case{
		"a label more on a controller's Pod":       {patchtest.Owned, `[{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"a controller's labels written anew":       {patchtest.Owned, `[{"op":"add","path":"/metadata/labels","value":{"hash":"1","app":"w","x":"y"}}]`},
		"any label without a controller":           {patchtest.Rich, `[{"op":"remove","path":"/metadata/labels/app"}]`},
		"the annotations of an index written anew": {indexed, `[{"op":"add","path":"/metadata/annotations","value":{"batch.kubernetes.io/job-completion-index":"0","batch.kubernetes.io/job-index-failure-count":"1","a":"b"}}]`},
		"the hostname in a Job without indices":    {job, `[{"op":"replace","path":"/spec/hostname","value":"b"}]`},
		"the hostname under an unknown controller": {custom, `[{"op":"replace","path":"/spec/hostname","value":"b"}]`},
		"a volume without a claim":                 {stateful, `[{"op":"remove","path":"/spec/volumes/1"}]`},
		"the claim's volume read-only":             {stateful, `[{"op":"add","path":"/spec/volumes/0/persistentVolumeClaim/readOnly","value":true}]`},
		"volumes in another order":                 {stateful, `[{"op":"move","from":"/spec/volumes/0","path":"/spec/volumes/1"}]`},
		"the required node written anew":           {daemon, `[{"op":"add","path":"/spec/affinity","value":` + affinity + `},{"op":"add","path":"` + terms + `/0/matchExpressions","value":[{"key":"pool","operator":"In","values":["a"]}]}]`},
		"a preference beside the required node":    {daemon, `[{"op":"add","path":"/spec/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution","value":[{"weight":1,"preference":{"matchExpressions":[{"key":"a","operator":"Exists"}]}}]}]`},
		"the affinity of Pods beside the node":     {daemon, `[{"op":"add","path":"/spec/affinity/podAntiAffinity","value":{}}]`},
		"the node of another controller's Pod":     {replicaSet, `[{"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{}}}]`},
	}
	for _, p := range []struct{ kind, pod string }{
		{"ReplicaSet", replicaSet}, {"ReplicationController", replication}, {"DaemonSet", daemon}, {"StatefulSet", stateful}, {"Job", indexed},
	} {
		accepted["what an injector adds to a Pod of a "+p.kind] = patchtest.Case{p.pod, `[
			{"op":"add","path":"/metadata/labels/team","value":"a"},
			{"op":"add","path":"/metadata/annotations/example.com~1a","value":"b"},
			{"op":"add","path":"/spec/containers/-","value":{"name":"side","image":"i"}},
			{"op":"add","path":"/spec/initContainers/-","value":{"name":"init","image":"i"}},
			{"op":"add","path":"/spec/volumes/-","value":{"name":"work","emptyDir":{}}},
			{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"work","mountPath":"/work"}},
			{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A","value":"b"}},
			{"op":"add","path":"/spec/nodeSelector/pool","value":"a"},
			{"op":"add","path":"/spec/tolerations/-","value":{"key":"k","operator":"Exists"}},
			{"op":"replace","path":"/spec/containers/0/image","value":"j"}]`}
	}
	patchtest.Accepted(t, accepted)
}
