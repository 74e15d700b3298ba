package rules

import (
	"fmt"
	"slices"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

// A derivation is a field from which an admission plugin of the API server computes others. It does so before
// webhooks and again after them. The second time it fills in a value that is absent, and rejects a Pod with
// another value than the one it computes, whatever the failure policy is.
type derivation struct {
	source jsontree.Pointer
	values []jsontree.Pointer
}

// derivations are those of Kubernetes 1.36 (k8s.io/kubernetes v1.36.3, files below plugin/pkg/admission). The
// other plugins that write into Pods (ServiceAccount, LimitRanger, DefaultTolerationSeconds, PodTopologyLabels,
// AlwaysPullImages, PodNodeSelector, PodTolerationRestriction, ExtendedResourceToleration) are not here: either
// they do not reject the values that they wrote, or they reject them because of objects that amp does not see.
var derivations = []derivation{
	{ // priority/admission.go admitPod
		jsontree.Pointer{"spec", "priorityClassName"},
		[]jsontree.Pointer{{"spec", "priority"}, {"spec", "preemptionPolicy"}},
	},
	{ // runtimeclass/admission.go setOverhead and validateOverhead
		jsontree.Pointer{"spec", "runtimeClassName"},
		[]jsontree.Pointer{{"spec", "overhead"}},
	},
}

// derivedValues removes the values that the API server derived from a field which the patch changes. It warns
// if one of them is the endpoint's own.
func derivedValues(c *apply.Change) (ops []review.Op, warnings []Finding) {
	if c.Before.Get("spec") == c.After.Get("spec") {
		return nil, nil
	}
	for _, d := range derivations {
		if !differ(c, d.source) {
			continue
		}
		for _, value := range d.values {
			is := c.After.Get(value...)
			if is.IsNull() {
				continue
			}
			ops = append(ops, review.Op{Op: "remove", Path: "/" + value[0] + "/" + value[1]})
			if op := is.Op(); op != 0 && differ(c, value) {
				warnings = append(warnings, Finding{Severity: Warn, Op: op,
					Text: fmt.Sprintf("amp leaves it out: the API server computes %s from %s", value, d.source)})
			}
		}
	}
	return ops, warnings
}

// isDerived reports whether a field is one that the API server derives.
func isDerived(field jsontree.Pointer) bool {
	return slices.ContainsFunc(derivations, func(d derivation) bool {
		return slices.ContainsFunc(d.values, func(value jsontree.Pointer) bool { return slices.Equal(value, field) })
	})
}

// differ reports whether the patch changed a field. An empty text is the same as none.
func differ(c *apply.Change, field jsontree.Pointer) bool {
	was, is := c.Before.Get(field...), c.After.Get(field...)
	return was != is && !jsontree.Same(was, is) && !(unset(was) && unset(is))
}

func unset(n *jsontree.Node) bool { return n.IsNull() || n.Kind() == jsontree.String && n.Text() == "" }
