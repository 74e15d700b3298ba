package jupyterhub

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// amounts are the request and the limit of one resource, nil if there is none. The API server, and amp before it, refuse
// a Pod in which the two do not go together.
type amounts struct {
	name           corev1.ResourceName
	request, limit *resource.Quantity
}

func amountsOf(r *corev1.ResourceRequirements, name corev1.ResourceName) amounts {
	a := amounts{name: name}
	if q, ok := r.Requests[name]; ok {
		a.request = &q
	}
	if q, ok := r.Limits[name]; ok {
		a.limit = &q
	}
	return a
}

func (a amounts) putInto(r *corev1.ResourceRequirements) {
	put := func(list *corev1.ResourceList, q *resource.Quantity) {
		if q != nil && *list == nil {
			*list = corev1.ResourceList{}
		}
		if q != nil {
			(*list)[a.name] = *q
		}
	}
	put(&r.Requests, a.request)
	put(&r.Limits, a.limit)
}

// wrong says why no Pod can have these amounts, empty if one can.
func (a amounts) wrong() string {
	overcommit := mayOvercommit(a.name)
	switch {
	case a.request == nil:
	case a.limit == nil && !overcommit:
		return "needs a limit of the same amount: this resource cannot be overcommitted"
	case a.limit == nil:
	case a.request.Cmp(*a.limit) != 0 && !overcommit:
		return "want the same amount as the limit: this resource cannot be overcommitted"
	case a.request.Cmp(*a.limit) > 0:
		return "is larger than the limit: lower it, or raise the limit"
	}
	return ""
}

// mayOvercommit reports whether a request may be below its limit, or without one (Kubernetes: pkg/apis/core/helper
// IsOvercommitAllowed): for Kubernetes' own resources except huge pages.
func mayOvercommit(name corev1.ResourceName) bool {
	own := !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
	return own && !strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// and returns a, with what it lacks from b.
func (a amounts) and(b amounts) amounts {
	return amounts{a.name, cmp.Or(a.request, b.request), cmp.Or(a.limit, b.limit)}
}

// over is like and, but if a's amount does not go with b's, it counts as the request and as the limit.
func (a amounts) over(b amounts) amounts {
	both := a.and(b)
	if both.wrong() == "" {
		return both
	}
	return a.and(amounts{a.name, a.limit, a.request})
}

// have reports whether all amounts of b are a's, too. They may be spelt in different ways: 1Gi is 1073741824.
func (a amounts) have(b amounts) bool {
	same := func(a, b *resource.Quantity) bool { return b == nil || a != nil && a.Cmp(*b) == 0 }
	return same(a.request, b.request) && same(a.limit, b.limit)
}

func resourceNames(r *corev1.ResourceRequirements) []corev1.ResourceName {
	names := slices.AppendSeq(slices.Collect(maps.Keys(r.Limits)), maps.Keys(r.Requests))
	slices.Sort(names)
	return slices.Compact(names)
}

// stack returns the resources of two profiles. The stronger one is top.
func stack(base, top *corev1.ResourceRequirements) *corev1.ResourceRequirements {
	if base == nil || top == nil {
		return cmp.Or(top, base)
	}
	merged := base.DeepCopy()
	for _, name := range resourceNames(top) {
		amountsOf(top, name).over(amountsOf(base, name)).putInto(merged)
	}
	if len(top.Claims) > 0 {
		merged.Claims = top.Claims
	}
	return merged
}

// resources returns those of a container with those of a profile. Each resource is a thing by itself.
func (a *applier) resources(have corev1.ResourceRequirements, more *corev1.ResourceRequirements) corev1.ResourceRequirements {
	if more == nil {
		return have
	}
	merged := *have.DeepCopy()
	for _, name := range resourceNames(more) {
		had, want := amountsOf(&have, name), amountsOf(more, name)
		got := had.and(want)
		if got.wrong() != "" {
			got = had
		}
		if !got.have(want) && a.wins("resources", string(name)) {
			got = want.over(had)
		}
		got.putInto(&merged)
	}
	if len(more.Claims) > 0 && !same(have.Claims, more.Claims) && (len(have.Claims) == 0 || a.wins("resources", "claims")) {
		merged.Claims = more.Claims
	}
	return merged
}

// resources checks those of one container. Those of several profiles are made to go together.
func (c *checker) resources(where string, r *corev1.ResourceRequirements) {
	if r == nil {
		return
	}
	for _, name := range resourceNames(r) {
		if wrong := amountsOf(r, name).wrong(); wrong != "" {
			c.at(where+".requests."+string(name), "%s", wrong)
		}
	}
}
