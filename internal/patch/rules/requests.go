package rules

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

var resourcePlaces = append(inContainers("resources"), jsontree.Pointer{"spec", "resources"})

// requests refuses a patch by which a request and its limit do not go together. Before webhooks the API server
// takes an absent request from the limit (pkg/apis/core/v1 SetDefaults_Pod), so a patch that changes one of
// them may have to change both. It judges them after webhooks (pkg/apis/core/validation
// validateResourceRequirements).
func requests(c *apply.Change, _ *Settings) []Finding {
	return introduced(c, resourcePlaces, func(pod *jsontree.Node, all bool) (found []flaw) {
		resources := pod.Get("spec", "resources")
		if all || !resources.Untouched() {
			found = appendRequestFlaws(found, resources, "the Pod", jsontree.Pointer{"spec", "resources"}, latest(pod.Get("spec"), resources))
		}
		eachContainer(pod, func(container *jsontree.Node, list string, op int) {
			resources := container.Get("resources")
			if all || !resources.Untouched() {
				owner := "container " + apply.Quote(container.Get("name").Text())
				found = appendRequestFlaws(found, resources, owner, jsontree.Pointer{"spec", list}, max(op, latest(resources)))
			}
		})
		return found
	})
}

// appendRequestFlaws appends those of the resources of an owner, which came with op.
func appendRequestFlaws(found []flaw, resources *jsontree.Node, owner string, place jsontree.Pointer, op int) []flaw {
	requests, limits := resources.Get("requests"), resources.Get("limits")
	requests.Each(func(name string, request *jsontree.Node) {
		limit := limits.Get(name)
		report := func(format string, args ...any) {
			found = append(found, flaw{[2]string{owner, name}, max(op, latest(requests, limits, request, limit)), place, func() string {
				return fmt.Sprintf(format, append([]any{owner, apply.Quote(name)}, args...)...)
			}})
		}
		requested, ok := quantity(request)
		if !ok {
			return
		}
		if limit == nil {
			if !mayOvercommit(name) {
				report("%s would request %s without a limit, which this resource needs: set the limit to the same value, or remove the request")
			}
			return
		}
		limited, ok := quantity(limit)
		if !ok {
			return
		}
		const remedy = ": change both in the same patch, or remove the request, which the API server then takes from the limit"
		switch order := requested.Cmp(limited); {
		case order != 0 && !mayOvercommit(name):
			report("%s would request another amount of %s than its limit, and for this resource they must be equal%s", remedy)
		case order > 0:
			report("%s would request more %s than its limit%s", remedy)
		}
	})
	return found
}

// mayOvercommit reports whether a request may be below its limit, or without one (pkg/apis/core/helper
// IsOvercommitAllowed): for Kubernetes' own resources except huge pages.
func mayOvercommit(name string) bool {
	own := !strings.Contains(name, "/") || strings.Contains(name, "kubernetes.io/")
	return own && !strings.HasPrefix(name, "hugepages-")
}

// quantity reads a quantity as the API server does, which rounds it up to thousandths. It reports false for one that is
// malformed: other rules judge it.
func quantity(n *jsontree.Node) (resource.Quantity, bool) {
	text := quantityText(n)
	if slow(text) != "" { // that the Pod had before
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return resource.Quantity{}, false
	}
	q.RoundUp(resource.Milli)
	return q, true
}
