package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

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
	from, _ := pod["metadata"].(Object)
	meta := Object{}
	for _, field := range []string{"labels", "annotations", "finalizers"} { // the controllers take no more of it
		if from[field] != nil {
			meta[field] = from[field]
		}
	}
	pod["apiVersion"], pod["kind"], pod["metadata"] = "v1", "Pod", meta
	by.complete(kind, spec, pod, hash(template))
	meta["ownerReferences"] = []any{Object{
		"apiVersion": by.version, "kind": by.kind, "name": by.name, "uid": uuid.NewSHA1(uuid.NameSpaceOID, []byte(by.kind+"/"+by.name)).String(),
		"controller": true, "blockOwnerDeletion": true,
	}}
	return pod, by, nil
}

// complete adds what the controller of the kind adds to a Pod, and finds its own name. of is the object's spec: that of the
// Job for a CronJob. sum stands for the hash that a controller makes of the template: it has the same form, and another value.
func (by *creator) complete(kind string, of, pod Object, sum string) {
	meta, spec := child(pod, "metadata"), child(pod, "spec")
	switch kind {
	case "Deployment":
		by.name += "-" + sum
		child(meta, "labels")["pod-template-hash"] = sum
	case "CronJob":
		by.name += "-29000000" // the minute for which it is planned
	}
	meta["generateName"] = by.name + "-"
	switch kind {
	case "StatefulSet":
		child(meta, "labels")["controller-revision-hash"] = by.name + "-" + sum
		inSet(by.name, of, meta, spec)
	case "DaemonSet":
		labels := child(meta, "labels")
		labels["controller-revision-hash"] = sum
		labels["pod-template-generation"] = "1"
		onNode(spec)
	case "Job", "CronJob":
		inJob(by.name, of, meta)
		if of["completionMode"] == "Indexed" {
			withIndex(by.name, of, meta, spec)
		}
	}
}

// inSet is what the controller of a StatefulSet adds: the identity of the first Pod, and the volumes of its claims
// (k8s.io/kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_utils.go initIdentity and updateStorage).
func inSet(set string, of, meta, spec Object) {
	ordinal := "0"
	ordinals, _ := of["ordinals"].(Object)
	if start, ok := ordinals["start"].(json.Number); ok {
		ordinal = start.String()
	}
	name := set + "-" + ordinal
	meta["name"], spec["hostname"] = name, name
	labels := child(meta, "labels")
	labels["apps.kubernetes.io/pod-index"] = ordinal
	labels["statefulset.kubernetes.io/pod-name"] = name
	delete(spec, "subdomain")
	if service, _ := of["serviceName"].(string); service != "" {
		spec["subdomain"] = service
	}
	claimed := map[string]bool{}
	var volumes []any // the controller takes the claims in any order; here it is that of the manifest
	each(of, "volumeClaimTemplates", func(claim Object) {
		volume, ok := child(claim, "metadata")["name"].(string)
		if ok && !claimed[volume] {
			claimed[volume] = true
			volumes = append(volumes, Object{"name": volume, "persistentVolumeClaim": Object{"claimName": volume + "-" + name}})
		}
	})
	each(spec, "volumes", func(own Object) {
		if name, ok := own["name"].(string); !ok || !claimed[name] {
			volumes = append(volumes, own)
		}
	})
	if len(claimed) > 0 {
		spec["volumes"] = volumes
	}
}

// inJob is what the API server adds to the template of a Job (pkg/registry/batch/job/strategy.go generateSelector), and its
// controller to each Pod.
func inJob(job string, of, meta Object) {
	if of["manualSelector"] != true {
		labels, id := child(meta, "labels"), uuid.NewSHA1(uuid.NameSpaceOID, []byte("Job/"+job)).String()
		set(labels, "batch.kubernetes.io/controller-uid", id)
		set(labels, "controller-uid", id)
		set(labels, "batch.kubernetes.io/job-name", job)
		set(labels, "job-name", job)
	}
	const tracking = "batch.kubernetes.io/job-tracking"
	if finalizers, _ := meta["finalizers"].([]any); !slices.Contains(finalizers, any(tracking)) {
		meta["finalizers"] = append(finalizers, tracking)
	}
}

// withIndex is what the controller adds to the first Pod of an Indexed Job (pkg/controller/job/job_controller.go manageJob,
// indexed_job_utils.go).
func withIndex(job string, of, meta, spec Object) {
	const index, key, variable = "0", "batch.kubernetes.io/job-completion-index", "JOB_COMPLETION_INDEX"
	// names.MaxGeneratedNameLength; what is random comes behind it.
	const most = 58 - len("-"+index+"-")
	child(meta, "annotations")[key] = index
	child(meta, "labels")[key] = index
	if of["backoffLimitPerIndex"] != nil {
		child(meta, "annotations")["batch.kubernetes.io/job-index-failure-count"] = "0"
	}
	meta["generateName"] = job[:min(len(job), most)] + "-" + index + "-"
	spec["hostname"] = job + "-" + index
	for _, list := range []string{"initContainers", "containers"} {
		each(spec, list, func(c Object) {
			env, _ := c["env"].([]any)
			named := func(e any) bool {
				is, ok := e.(Object)
				return ok && is["name"] == variable
			}
			if !slices.ContainsFunc(env, named) {
				c["env"] = append(env, Object{"name": variable, "valueFrom": Object{"fieldRef": Object{"fieldPath": "metadata.labels['" + key + "']"}}})
			}
		})
	}
}

// onNode is what the controller of a DaemonSet adds: the node, which it names in an affinity, and tolerations. One of the
// template for the same taint gives way (pkg/controller/daemon/util AddOrUpdateDaemonPodTolerations).
func onNode(spec Object) {
	affinity := child(child(spec, "affinity"), "nodeAffinity")
	affinity["requiredDuringSchedulingIgnoredDuringExecution"] = Object{"nodeSelectorTerms": []any{Object{"matchFields": []any{
		Object{"key": "metadata.name", "operator": "In", "values": []any{"node-1"}},
	}}}}
	tolerations, _ := spec["tolerations"].([]any)
	add := func(key, effect string) {
		one := Object{"key": "node.kubernetes.io/" + key, "operator": "Exists", "effect": effect}
		same := func(t any) bool {
			is, ok := t.(Object)
			return ok && is["key"] == one["key"] && is["operator"] == one["operator"] && is["effect"] == one["effect"]
		}
		if i := slices.IndexFunc(tolerations, same); i >= 0 {
			tolerations[i] = one
			return
		}
		tolerations = append(tolerations, one)
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
