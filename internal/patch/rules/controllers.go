package rules

import (
	"fmt"
	"slices"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// A keep is something by which a controller recognizes its Pods. If a Pod lost it, the controller would create
// Pods, or try to repair this one, without end.
type keep struct {
	// kinds of the controllers that go by it, nil for all. Controllers compare the kind of an owner, not its
	// apiVersion.
	kinds []string
	// by is the end of the sentence: the Pod belongs to Job "x", which …
	by string
	// lost returns the place of what was lost, and the remedy; "" if nothing was lost.
	lost func(before, after *jsontree.Node) (where jsontree.Pointer, must string)
}

// keeps are what the controllers of Kubernetes 1.36 recognize their Pods by (k8s.io/kubernetes v1.36.3, files
// below pkg/controller). The Pods of a Deployment belong to its ReplicaSets, those of a CronJob to its Jobs.
// Neither adds a row: the label pod-template-hash is in the ReplicaSet's selector.
//
// The controllers find the Pods of a kind by the ownerReferences, and the Job controller counts those with its
// finalizer: the rule identity keeps both.
var keeps = []keep{
	// controller_ref_manager.go ClaimObject: a Pod that the selector does not match is released. amp does not
	// see the selector, so each label that the Pod came with stays. Among them are: pod-template-hash;
	// controller-revision-hash, by which DaemonSets (daemon/util IsPodUpdated) and StatefulSets
	// (stateful_set_control.go getPodRevision) replace old Pods; the index labels of StatefulSets and Jobs.
	{nil, "finds it by its labels", labelsKept},
	// daemon/util/daemonset_util.go GetTargetNodeName: an unscheduled Pod counts for the node that nodeAffinity
	// names. Each term must name the node, because the scheduler may use any one of them.
	{[]string{"DaemonSet"}, "finds it by its node", nodeKept},
	// statefulset/stateful_set_utils.go storageMatches. The controller then updates the volumes, which the API
	// server forbids (pkg/apis/core/validation ValidatePodUpdate), again and again.
	{[]string{"StatefulSet"}, "finds it by the volumes of its claims", claimsKept},
	// statefulset/stateful_set_utils.go initIdentity: with these the Pod has its own name in DNS.
	{[]string{"StatefulSet"}, "gives it a DNS name of its own", kept("spec", "hostname")},
	{[]string{"StatefulSet"}, "gives it a DNS name of its own", kept("spec", "subdomain")},
	// job/indexed_job_utils.go getCompletionIndex reads the annotation, not the label of that name.
	{[]string{"Job"}, "finds it by its index", kept("metadata", "annotations", completionIndex)},
	// job/indexed_job_utils.go getNewIndexFailureCounts: without it an index that fails is tried without end.
	{[]string{"Job"}, "counts the failures of its index there", kept("metadata", "annotations", "batch.kubernetes.io/job-index-failure-count")},
	{[]string{"Job"}, "counts the failures of its index there", kept("metadata", "annotations", "batch.kubernetes.io/job-index-ignored-failure-count")},
	// job/job_controller.go manageJob: hostname is <job>-<index>.
	{[]string{"Job"}, "gives it a DNS name of its own", indexedHostnameKept},
	// controller_utils.go IsPodActive: a Pod that ended is replaced, without backoff. The API restricts
	// restartPolicy in the templates of these controllers (pkg/apis/apps/validation, pkg/apis/batch/validation).
	{[]string{"ReplicaSet", "ReplicationController", "DaemonSet", "StatefulSet", "Job"}, "replaces Pods by how they end", kept("spec", "restartPolicy")},
	// pkg/kubelet/kubelet_pods.go HandlePodCleanups: the kubelet deletes such a Pod, and the controller creates
	// the next.
	{nil, "creates it, not a node", notMirror},
}

// completionIndex is the annotation with the index of the Pod of an Indexed Job.
const completionIndex = "batch.kubernetes.io/job-completion-index"

// controllers refuses a patch after which the Pod's controller would not recognize the Pod.
func controllers(c *apply.Change, _ *Settings) []Finding {
	if c.Before.Get("metadata") == c.After.Get("metadata") && c.Before.Get("spec") == c.After.Get("spec") {
		return nil
	}
	owner := controller(c.Before)
	if owner == nil {
		return nil
	}
	kind := owner.Get("kind").Text()
	for _, k := range keeps {
		if k.kinds != nil && !slices.Contains(k.kinds, kind) {
			continue
		}
		if where, must := k.lost(c.Before, c.After); must != "" {
			return refuse(c.LastOp(where), fmt.Sprintf("the Pod belongs to %s %s, which %s: %s",
				apply.Key(kind), apply.Quote(owner.Get("name").Text()), k.by, must))
		}
	}
	return nil
}

// controller returns the ownerReference of the Pod's controller, nil if it has none.
func controller(pod *jsontree.Node) *jsontree.Node {
	for _, owner := range pod.Get("metadata", "ownerReferences").List() {
		if owner.Get("controller").Kind() == jsontree.True {
			return owner
		}
	}
	return nil
}

// kept keeps the field at a place as it is, if the Pod came with one.
func kept(place ...string) func(before, after *jsontree.Node) (jsontree.Pointer, string) {
	return func(before, after *jsontree.Node) (jsontree.Pointer, string) {
		was, is := before.Get(place...), after.Get(place...)
		if was == is || empty(was) || jsontree.Same(was, is) {
			return nil, ""
		}
		return place, "keep " + name(place) + " unchanged"
	}
}

// name names a field or annotation as a person does.
func name(place jsontree.Pointer) string {
	if len(place) == 3 && place[1] == "annotations" {
		return "the annotation " + place[2]
	}
	return place.String()
}

// indexedHostnameKept keeps the hostname of the Pod of an Indexed Job.
func indexedHostnameKept(before, after *jsontree.Node) (jsontree.Pointer, string) {
	if empty(before.Get("metadata", "annotations", completionIndex)) {
		return nil, ""
	}
	return kept("spec", "hostname")(before, after)
}

// labelsKept keeps each label that the Pod came with.
func labelsKept(pod, patched *jsontree.Node) (jsontree.Pointer, string) {
	before, after := pod.Get("metadata", "labels"), patched.Get("metadata", "labels")
	if before == after {
		return nil, ""
	}
	var changed []string
	before.Each(func(key string, value *jsontree.Node) {
		if !jsontree.Same(value, after.Get(key)) {
			changed = append(changed, key)
		}
	})
	if len(changed) == 0 {
		return nil, ""
	}
	return jsontree.Pointer{"metadata", "labels", changed[0]}, fmt.Sprintf("keep %s unchanged, and only add labels", names(changed))
}

// requiredTerms is where the nodes are named that a Pod may run on.
var requiredTerms = jsontree.Pointer{"spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"}

// nodeKept keeps the node that the Pod is for: spec.nodeName if it is set. Otherwise each of the required terms must
// name the node.
func nodeKept(before, after *jsontree.Node) (jsontree.Pointer, string) {
	if before.Get("spec", "affinity") == after.Get("spec", "affinity") && before.Get("spec", "nodeName") == after.Get("spec", "nodeName") {
		return nil, ""
	}
	node := targetNode(before)
	if node == "" {
		return nil, ""
	}
	if fixed := before.Get("spec", "nodeName"); !empty(fixed) || !empty(after.Get("spec", "nodeName")) {
		if after.Get("spec", "nodeName").Text() == node {
			return nil, ""
		}
		return jsontree.Pointer{"spec", "nodeName"}, "leave spec.nodeName as it is"
	}
	terms := after.Get(requiredTerms...).List()
	if len(terms) > 0 && !slices.ContainsFunc(terms, func(term *jsontree.Node) bool { return !namesNode(term, node) }) {
		return nil, ""
	}
	return requiredTerms, "keep matchFields metadata.name in each required nodeSelectorTerm, and add matchExpressions to the same term"
}

// targetNode returns the node that a Pod of a DaemonSet is for, "" if it names none.
func targetNode(pod *jsontree.Node) string {
	if name := pod.Get("spec", "nodeName").Text(); name != "" {
		return name
	}
	for _, term := range pod.Get(requiredTerms...).List() {
		for _, field := range term.Get("matchFields").List() {
			if node, ok := nodeNamed(field); ok {
				return node
			}
		}
	}
	return ""
}

// namesNode reports whether the node is the first that the matchFields of a term name.
func namesNode(term *jsontree.Node, node string) bool {
	for _, field := range term.Get("matchFields").List() {
		if named, ok := nodeNamed(field); ok {
			return named == node
		}
	}
	return false
}

// nodeNamed reports whether a matchField asks for a node by its name. It returns "" for several nodes.
func nodeNamed(field *jsontree.Node) (node string, ok bool) {
	if field.Get("key").Text() != "metadata.name" || field.Get("operator").Text() != "In" {
		return "", false
	}
	if values := field.Get("values").List(); len(values) == 1 {
		node = values[0].Text()
	}
	return node, true
}

// claimsKept keeps the volumes that a StatefulSet made of its volumeClaimTemplates: their claims are named
// <volume>-<Pod>.
func claimsKept(before, after *jsontree.Node) (jsontree.Pointer, string) {
	was, is := before.Get("spec", "volumes"), after.Get("spec", "volumes")
	if was == is {
		return nil, ""
	}
	claims := map[string]string{} // by the names of their volumes
	for _, volume := range is.List() {
		claims[volume.Get("name").Text()] = volume.Get("persistentVolumeClaim", "claimName").Text()
	}
	var changed []string
	for _, volume := range was.List() {
		name, claim := volume.Get("name").Text(), volume.Get("persistentVolumeClaim", "claimName").Text()
		if claim == name+"-"+before.Get("metadata", "name").Text() && claims[name] != claim {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return nil, ""
	}
	return jsontree.Pointer{"spec", "volumes"}, fmt.Sprintf("keep %s with its persistentVolumeClaim, and only add volumes", names(changed))
}

// notMirror keeps the Pod from looking like the mirror of a Pod that a node runs from a file.
func notMirror(before, after *jsontree.Node) (jsontree.Pointer, string) {
	place := jsontree.Pointer{"metadata", "annotations", "kubernetes.io/config.mirror"}
	if before.Get(place...) != nil || after.Get(place...) == nil {
		return nil, ""
	}
	return place, "leave " + name(place) + " out"
}
