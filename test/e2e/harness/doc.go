// Package harness is what the end-to-end tests stand on: a real kube-apiserver and etcd; amp, installed from what
// deploy/ renders, as the real binary with its own ServiceAccount's rights; the sample endpoints; and endpoints that
// misbehave.
//
// There is no controller-manager, scheduler or kubelet: Pods are created and stored, but never run (test/cluster runs
// them). A Service does not lead anywhere; [Front] takes its place.
package harness
