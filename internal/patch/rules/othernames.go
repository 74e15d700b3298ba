package rules

import (
	"github.com/txn2/amp/internal/patch/jsontree"
)

// serviceAccount has two fields: the API server reads the second if the first is empty.
var serviceAccount = [2]string{"serviceAccountName", "serviceAccount"}

// appArmor is what the annotations begin with that set the AppArmor profile of a container. After webhooks, the API server
// copies them into the container's securityContext if that has no profile (pkg/registry/core/pod/strategy.go
// applyAppArmorVersionSkew). The kubelet before 1.30 reads nothing else.
const appArmor = "container.apparmor.security.beta.kubernetes.io/"

// otherNames returns the other places from which the API server sets what is at a pattern of AMP_PATCH_DENY, or a part of
// it: an endpoint that may change one of those changes the denied field, too. text is the pattern as AMP_PATCH_DENY has it.
// A class is no such place: what the API server computes of it (see derivations), the operator of the cluster has chosen.
func otherNames(pattern jsontree.Pointer, text string) (places []place) {
	add := func(field, other jsontree.Pointer, prefix string) {
		if meet(pattern, field) {
			places = append(places, place{other, prefix, text})
		}
	}
	name, alias := jsontree.Pointer{"spec", serviceAccount[0]}, jsontree.Pointer{"spec", serviceAccount[1]}
	add(name, alias, "")
	add(alias, name, "")
	for _, list := range containerLists {
		add(jsontree.Pointer{"spec", list, "*", "securityContext", "appArmorProfile"}, jsontree.Pointer{"metadata", "annotations", "*"}, appArmor)
	}
	return places
}

// meet reports whether what is at one pattern may be at, below or above the other one.
func meet(a, b jsontree.Pointer) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] && a[i] != "*" && b[i] != "*" {
			return false
		}
	}
	return true
}
