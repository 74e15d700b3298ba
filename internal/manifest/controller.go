package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/rand"
)

// errNoPod says that an object creates no Pod.
var errNoPod = errors.New("it creates no Pod")

// creator is the controller that creates a Pod.
type creator struct {
	version, kind, name string
	account             string // its ServiceAccount in kube-system; empty: a user creates the Pod
}

// podOf returns the Pod that an object stands for, and who creates it. The object keeps the template.
func podOf(version, kind string, object Object) (Object, creator, error) {
	metadata, spec := child(object, "metadata"), child(object, "spec")
	name, _ := metadata["name"].(string)
	if kind == "Pod" && version == "v1" {
		if name == "" && metadata["generateName"] == nil {
			return nil, creator{}, errors.New("it has neither metadata.name nor metadata.generateName")
		}
		return copyOf(object), creator{}, nil
	}
	by := creator{version: version, kind: kind, name: name}
	switch version + " " + kind {
	case "apps/v1 Deployment":
		by.kind, by.account = "ReplicaSet", "replicaset-controller"
	case "apps/v1 ReplicaSet":
		by.account = "replicaset-controller"
	case "v1 ReplicationController":
		by.account = "replication-controller"
	case "apps/v1 StatefulSet":
		by.account = "statefulset-controller"
	case "apps/v1 DaemonSet":
		by.account = "daemon-set-controller"
	case "batch/v1 Job":
		by.account = "job-controller"
	case "batch/v1 CronJob":
		by.kind, by.account = "Job", "job-controller"
		spec = child(child(spec, "jobTemplate"), "spec")
	case "apps/v1beta1 Deployment", "apps/v1beta2 Deployment", "extensions/v1beta1 Deployment", "batch/v1beta1 CronJob":
		return nil, by, fmt.Errorf("the API server no longer has apiVersion %s", version)
	default:
		return nil, by, errNoPod
	}
	if name == "" {
		return nil, by, errors.New("it has no metadata.name")
	}
	template, ok := spec["template"].(Object)
	if !ok {
		return nil, by, errors.New("it has no template of a Pod")
	}
	pod := copyOf(template)
	pod["apiVersion"], pod["kind"] = "v1", "Pod"
	meta := child(pod, "metadata")
	delete(meta, "name")
	by.complete(kind, pod, meta, hash(template))
	meta["ownerReferences"] = []any{Object{
		"apiVersion": by.version, "kind": by.kind, "name": by.name, "uid": uuid.NewSHA1(uuid.NameSpaceOID, []byte(by.kind+"/"+by.name)).String(),
		"controller": true, "blockOwnerDeletion": true,
	}}
	return pod, by, nil
}

// complete adds what the controller of the kind adds to a Pod, and finds its own name. sum stands for the hash that a
// controller makes of the template: it has the same form, and another value.
func (by *creator) complete(kind string, pod, meta Object, sum string) {
	labels := child(meta, "labels")
	switch kind {
	case "Deployment":
		by.name += "-" + sum
		labels["pod-template-hash"] = sum
	case "StatefulSet":
		meta["name"] = by.name + "-0"
		labels["apps.kubernetes.io/pod-index"] = "0"
		labels["controller-revision-hash"] = by.name + "-" + sum
		labels["statefulset.kubernetes.io/pod-name"] = by.name + "-0"
		spec := child(pod, "spec")
		spec["hostname"] = by.name + "-0"
		return
	case "DaemonSet":
		labels["controller-revision-hash"] = sum
		labels["pod-template-generation"] = "1"
		onNode(child(pod, "spec"))
	case "Job", "CronJob":
		if kind == "CronJob" {
			by.name += "-29000000" // the minute for which it is planned
		}
		id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("Job/"+by.name)).String()
		labels["batch.kubernetes.io/controller-uid"], labels["controller-uid"] = id, id
		labels["batch.kubernetes.io/job-name"], labels["job-name"] = by.name, by.name
		child(meta, "annotations")["batch.kubernetes.io/job-tracking"] = ""
		meta["finalizers"] = []any{"batch.kubernetes.io/job-tracking"}
	}
	meta["generateName"] = by.name + "-"
}

// onNode is what the controller of a DaemonSet adds: the node, which it names in an affinity, and tolerations.
func onNode(spec Object) {
	affinity := child(child(spec, "affinity"), "nodeAffinity")
	affinity["requiredDuringSchedulingIgnoredDuringExecution"] = Object{"nodeSelectorTerms": []any{Object{"matchFields": []any{
		Object{"key": "metadata.name", "operator": "In", "values": []any{"node-1"}},
	}}}}
	tolerations, _ := spec["tolerations"].([]any)
	add := func(key, effect string) {
		tolerations = append(tolerations, Object{"key": "node.kubernetes.io/" + key, "operator": "Exists", "effect": effect})
	}
	add("not-ready", "NoExecute")
	add("unreachable", "NoExecute")
	for _, key := range []string{"disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"} {
		add(key, "NoSchedule")
	}
	if spec["hostNetwork"] == true {
		add("network-unavailable", "NoSchedule")
	}
	spec["tolerations"] = tolerations
}

// hash is a short name for a template.
func hash(template Object) string {
	text, _ := json.Marshal(template) // it came from JSON
	sum := fnv.New32a()
	_, _ = sum.Write(text)
	return rand.SafeEncodeString(fmt.Sprint(sum.Sum32()))
}

// copyOf returns an object that shares nothing with the given one.
func copyOf(object Object) Object {
	text, _ := json.Marshal(object) // it came from JSON
	value, _ := decode(text)
	fresh, _ := value.(Object)
	return fresh
}
