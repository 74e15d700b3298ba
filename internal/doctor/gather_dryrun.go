package doctor

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// dryRuns are the Pods that were tried.
type dryRuns struct {
	untried string             // why no Pod was tried at all; empty if one was, or if a check says why
	user    seen[string]       // who created them
	of      map[string]*dryRun // by namespace; nil where amp calls no endpoint
}

// dryRun is what came of creating a Pod as a dry run. The Pod asks amp to explain what it did.
type dryRun struct {
	untried  string // why none was created; empty if one was
	err      error  // of the API server
	warnings []string
}

// failedAbove is why no Pod was tried where a check above in the report failed.
const failedAbove = "fix what failed above first"

// noneOptedIn is why no Pod was tried where amp has nothing to do yet.
const noneOptedIn = "no namespace has opted in"

// gatherDryRuns creates a Pod as a dry run in each namespace that has opted in. It comes last, because it depends on
// the findings of the other checks: a Pod would only repeat
//
//  1. a failure of the installation, in all namespaces, or
//  2. a failure of its namespace.
func (c *cluster) gatherDryRuns(ctx context.Context, s *observed, findings []Finding) dryRuns {
	all := s.optedIn()
	switch {
	case s.namespaces.err != nil:
		return dryRuns{}
	case len(all) == 0:
		return dryRuns{untried: noneOptedIn}
	case failedIn("", findings):
		return dryRuns{untried: failedAbove}
	}
	runs, user := make([]*dryRun, len(all)), c.user(ctx)
	each(all, func(i int, n *namespace) {
		switch {
		case len(n.called()) == 0: // nothing to try
		case failedIn(n.name, findings):
			runs[i] = &dryRun{untried: failedAbove}
		default:
			runs[i] = c.try(ctx, n, s.image(), user)
		}
	})
	result := dryRuns{user: user, of: map[string]*dryRun{}}
	for i, n := range all {
		result.of[n.name] = runs[i]
	}
	return result
}

// try creates a Pod that amp forwards. If that fails, it tries once more: an endpoint may start only when it is called,
// and the first call is then too early to judge it.
func (c *cluster) try(ctx context.Context, n *namespace, image string, user seen[string]) *dryRun {
	pod := podLike(n.policy.Pods, image)
	if pod == nil {
		return &dryRun{untried: "the doctor found no labels that " + namespaces.AnnotationPods + " selects"}
	}
	d := c.create(ctx, n.name, pod)
	if judgeDryRun(n, &d, user).Status == Failed {
		d = c.create(ctx, n.name, pod)
	}
	return &d
}

// create creates a Pod as a dry run: amp and its endpoints are called, and nothing is stored.
func (c *cluster) create(ctx context.Context, namespace string, pod *corev1.Pod) (d dryRun) {
	ctx = context.WithValue(ctx, warningsKey{}, &d.warnings)
	_, d.err = ask[corev1.Pod](ctx, c, c.request(http.MethodPost, corev1.SchemeGroupVersion, namespace, "pods").Param("dryRun", metav1.DryRunAll).Body(pod))
	return d
}

// warningCollector adds the API server's warnings about a request to the list in the request's context.
type warningCollector struct{}

type warningsKey struct{}

func (warningCollector) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	if all, ok := ctx.Value(warningsKey{}).(*[]string); ok && code == 299 && text != "" {
		*all = append(*all, text)
	}
}

// podLike is a Pod that amp forwards in a namespace with this selector, nil if no such labels were found. It needs
// nothing that Pod Security's level restricted forbids, and its image is one that the cluster has.
func podLike(selector labels.Selector, image string) *corev1.Pod {
	matching, ok := labelsFor(selector)
	if !ok {
		return nil
	}
	yes, no := true, false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "amp-doctor-", Labels: matching, Annotations: map[string]string{review.ExplainAnnotation: "true"}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "doctor", Image: image,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// labelsFor makes labels that a selector matches. It reports false if it finds none.
func labelsFor(s labels.Selector) (labels.Set, bool) {
	set := labels.Set{}
	if s == nil {
		return set, true
	}
	all, _ := s.Requirements()
	for _, r := range all {
		values := slices.Sorted(slices.Values(r.Values().UnsortedList()))
		switch r.Operator() {
		case selection.Equals, selection.DoubleEquals, selection.In:
			set[r.Key()] = values[0]
		case selection.Exists:
			if _, ok := set[r.Key()]; !ok {
				set[r.Key()] = "doctor"
			}
		case selection.GreaterThan, selection.LessThan:
			n, err := strconv.ParseInt(values[0], 10, 64)
			if err != nil {
				return nil, false
			}
			if n++; r.Operator() == selection.LessThan {
				n -= 2
			}
			set[r.Key()] = strconv.FormatInt(n, 10)
		}
	}
	return set, s.Matches(set)
}
