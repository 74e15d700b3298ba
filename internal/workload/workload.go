// Package workload makes Pods, reviews and patches of a chosen size. Benchmarks and test/bench measure with them. It makes
// the same bytes each time, so that two runs compare.
package workload

import (
	"encoding/json"
	"fmt"
	"sort"
)

// Namespace and UID stand in each review. A load may count in their last digits.
const (
	Namespace = "bench-00000"
	UID       = "00000000-0000-4000-8000-000000000000"
)

// Pod returns a Pod of about the given size in bytes, as the API server sends a Deployment's Pod to a webhook: compact,
// with its defaults, and with managedFields that take two fifths of it. The size comes from variables in the environment
// of the containers, at most 40 in each. The smallest Pod has some 2,000 bytes.
func Pod(size int) json.RawMessage {
	vars := sort.Search(size/50, func(vars int) bool { return len(pod(vars)) >= size })
	return pod(vars)
}

// Review returns the AdmissionReview of the creation of [Pod], as the API server encodes it.
func Review(size int) []byte {
	return encode(object{
		"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
		"request": object{
			"uid":             UID,
			"kind":            object{"group": "", "version": "v1", "kind": "Pod"},
			"resource":        object{"group": "", "version": "v1", "resource": "pods"},
			"requestKind":     object{"group": "", "version": "v1", "kind": "Pod"},
			"requestResource": object{"group": "", "version": "v1", "resource": "pods"},
			"namespace":       Namespace,
			"operation":       "CREATE",
			"userInfo": object{
				"username": "system:serviceaccount:kube-system:replicaset-controller", "uid": "2b6e3c1a-7d5f-4c1e-9f0a-3f2d1c0b9a87",
				"groups": list{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
			},
			"object":    Pod(size),
			"oldObject": nil,
			"dryRun":    false,
			"options":   object{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
		},
	})
}

// Patch returns a JSONPatch of n operations that applies to each [Pod], n at least 1. The first twelve are what an
// endpoint that prepares a user's server sends; the others add variables to the environment.
func Patch(n int) json.RawMessage {
	ops := []Op{
		{"add", "/metadata/annotations/example.com~1team", "blue"},
		{"add", "/metadata/annotations/example.com~1cost-center", "4711"},
		{"add", "/metadata/labels/tier", "interactive"},
		{"add", "/spec/volumes/-", object{"name": "home", "persistentVolumeClaim": object{"claimName": "home-jane"}}},
		{"add", "/spec/containers/0/volumeMounts/-", object{"name": "home", "mountPath": "/home/jane"}},
		{"add", "/spec/containers/0/env/-", object{"name": "TEAM", "value": "blue"}},
		{"add", "/spec/containers/0/env/-", object{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}},
		{"add", "/spec/containers/0/env/-", object{"name": "NO_PROXY", "value": ".svc,.cluster.local"}},
		{"replace", "/spec/containers/0/imagePullPolicy", "Always"},
		{"add", "/spec/tolerations/-", object{"key": "pool", "operator": "Equal", "value": "interactive", "effect": "NoSchedule"}},
		{"add", "/spec/nodeSelector/pool", "interactive"},
		{"replace", "/spec/terminationGracePeriodSeconds", 60},
	}
	for i := len(ops); i < n; i++ {
		ops = append(ops, Op{"add", "/spec/containers/0/env/-", object{"name": fmt.Sprintf("ADDED_%03d", i), "value": "a value of some length"}})
	}
	return encode(ops[:n])
}

// Op is one operation of a patch.
type Op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// ToCreate returns a Pod of which the API server makes one of about 5 KB before it calls a webhook. [Patch] applies to
// it.
func ToCreate() json.RawMessage {
	p := plain(20)
	delete(p["metadata"].(object), "namespace")
	return encode(p)
}

type (
	object = map[string]any
	list   = []any
)

const perContainer = 40

// pod is a Pod with so many variables in its containers' environment.
func pod(vars int) json.RawMessage {
	p := plain(vars)
	metadata, spec := p["metadata"].(object), p["spec"].(object)
	metadata["managedFields"] = list{object{
		"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-11-22T08:16:12Z",
		"fieldsType": "FieldsV1", "fieldsV1": object{
			"f:metadata": fields(metadata, "generateName", "labels"),
			"f:spec":     fields(spec, "containers", "restartPolicy", "volumes"),
		},
	}}
	return encode(p)
}

// plain is pod without managedFields.
func plain(vars int) object {
	var containers list
	for first := 0; first == 0 || first < vars; first += perContainer {
		env := list{object{"name": "LOG_LEVEL", "value": "info"}}
		for i := first; i < min(first+perContainer, vars); i++ {
			env = append(env, object{"name": fmt.Sprintf("SETTING_%04d", i), "value": fmt.Sprintf("http://service-%d.example.svc:8080/", i)})
		}
		containers = append(containers, object{
			"name": fmt.Sprintf("app-%d", len(containers)), "image": "registry.example/app:1", "env": env,
			"ports":        list{object{"name": fmt.Sprintf("http-%d", len(containers)), "containerPort": 8080 + len(containers), "protocol": "TCP"}},
			"resources":    object{"limits": object{"memory": "512Mi"}, "requests": object{"cpu": "250m", "memory": "256Mi"}},
			"volumeMounts": list{object{"name": "cache", "mountPath": "/var/cache/app"}}, "imagePullPolicy": "IfNotPresent",
		})
	}
	return object{
		"kind": "Pod", "apiVersion": "v1",
		"metadata": object{
			"generateName": "app-7d4b9c6f5d-", "namespace": Namespace,
			"labels":          object{"app": "app", "pod-template-hash": "7d4b9c6f5d"},
			"annotations":     object{"example.com/revision": "7"},
			"ownerReferences": list{object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-7d4b9c6f5d", "uid": "8a7f5b1e-1c2d-4e3f-8a9b-0c1d2e3f4a5b", "controller": true}},
		},
		"spec": object{
			"volumes": list{object{"name": "cache", "emptyDir": object{}}}, "containers": containers, "restartPolicy": "Always",
			"terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "nodeSelector": object{"kubernetes.io/os": "linux"},
			"securityContext": object{}, "schedulerName": "default-scheduler", "enableServiceLinks": true,
			"tolerations": list{
				object{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
				object{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
			},
		},
		"status": object{},
	}
}

// fields is the FieldsV1 of some members of an object.
func fields(of object, names ...string) object {
	set := object{}
	for _, name := range names {
		set["f:"+name] = owned(of[name])
	}
	return set
}

func owned(v any) object {
	set := object{}
	switch v := v.(type) {
	case object:
		for name, member := range v {
			set["f:"+name] = owned(member)
		}
	case list:
		for _, element := range v {
			element := element.(object)
			key, ok := element["name"]
			if !ok {
				continue
			}
			set["k:"+string(encode(object{"name": key}))] = owned(element)
		}
	}
	if len(set) > 0 {
		set["."] = object{}
	}
	return set
}

// encode panics if v is not JSON, which is a bug here.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Case is what a benchmark works on.
type Case struct {
	Pod int // bytes
	Ops int
}

// Cases are a sensible middle, and what differs from it in one thing.
var Cases = []Case{{5000, 12}, {2000, 12}, {200_000, 12}, {5000, 1}, {5000, 100}}

// String is the name of the sub-benchmark.
func (c Case) String() string { return fmt.Sprintf("pod=%dKB/ops=%d", c.Pod/1000, c.Ops) }
