// Package harness is the ground that the end-to-end stories stand on: a real kube-apiserver and etcd, amp
// installed on it from what deploy/ renders and running as the real binary with its own ServiceAccount's
// rights, the sample endpoints, and endpoints that misbehave.
//
// It has no controller-manager, scheduler or kubelet: Pods are created and stored, never run (that is
// test/cluster's part), and a Service does not lead anywhere, for which [Front] stands in.
package harness
