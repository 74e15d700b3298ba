package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"

	"github.com/txn2/amp/test/e2e/harness"
)

// right is something that amp's ServiceAccount may do.
type right struct {
	in       string // the namespace; empty: anywhere
	resource string // with its API group
	name     string // empty: any
	verbs    string
}

// The rights of amp: it reads Namespaces. withOwnCertificate adds the rights for AMP_TLS=self. All other tests show
// that these are enough: there, amp runs with its own ServiceAccount's token.
var reading = []right{{"", "namespaces", "", "get list watch"}, {"", "endpointslices.discovery.k8s.io", "kubernetes", "get"}}

// withOwnCertificate are amp's rights if it makes its own certificate.
var withOwnCertificate = append([]right{
	{"", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "amp", "get watch update"},
	{"", "validatingwebhookconfigurations.admissionregistration.k8s.io", "amp", "get watch update"},
	{"amp-system", "secrets", "amp-tls", "get watch update"},
	{"amp-system", "secrets", "", "create"}, // with any name, because RBAC cannot limit a create to a name
}, reading...)

// rights are amp's rights by the overlay that grants them.
var rights = map[string][]right{"deploy": withOwnCertificate, "deploy/cert-manager": reading, "knative": withOwnCertificate}

func TestRights(t *testing.T) {
	for folder, want := range rights {
		t.Run(folder+" gives amp these and no others", func(t *testing.T) {
			m := rendered(t, folder)
			var is []right
			for _, u := range m.Kind("ClusterRoleBinding") {
				b := decode[rbacv1.ClusterRoleBinding](t, m, "ClusterRoleBinding", u.GetName())
				is = append(is, given(t, m, "", b.RoleRef, b.Subjects)...)
			}
			for _, u := range m.Kind("RoleBinding") {
				b := decode[rbacv1.RoleBinding](t, m, "RoleBinding", u.GetName())
				is = append(is, given(t, m, b.Namespace, b.RoleRef, b.Subjects)...)
			}
			if a, b := lines(is), lines(want); a != b {
				t.Errorf("amp may\n%s\nand should\n%s", a, b)
			}
		})
	}

	t.Run("amp uses each of them", func(t *testing.T) {
		w := world(t)
		// Without this, only a renewal would write into the Secret, in two months.
		if _, err := secrets(w).Patch(t.Context(), "amp-tls", types.MergePatchType, []byte(`{"data":{"ca.crt":""}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		// An API server that streams lists gets no list. Those before 1.34 do not by default.
		streams := w.API.Version(t).AtLeast(version.MajorMinor(1, 34))
		harness.Eventually(t, "the audit log shows them", func(context.Context) error {
			did, err := w.API.AuditedOfAmp()
			if err != nil {
				return err
			}
			for _, r := range rights["deploy"] {
				for _, verb := range strings.Fields(r.verbs) {
					if verb == "list" && streams {
						continue
					}
					if !slices.ContainsFunc(did, func(a harness.Audited) bool {
						return a.Verb == verb && strings.TrimSuffix(a.ObjectRef.Resource+"."+a.ObjectRef.APIGroup, ".") == r.resource &&
							(r.name == "" || a.ObjectRef.Name == r.name)
					}) {
						return fmt.Errorf("amp never did %s %s %q", verb, r.resource, r.name)
					}
				}
			}
			return nil
		})
	})

	t.Run("of all that the API server knows, amp may do nothing else", func(t *testing.T) {
		w := world(t)
		client := kubernetes.NewForConfigOrDie(w.API.Config())
		var asked sync.WaitGroup
		places := make(chan struct{}, 8)
		for _, resource := range resources(t, client.Discovery()) {
			for _, in := range []string{"amp-system", "kube-system"} {
				for _, name := range []string{"", "amp", "amp-tls"} {
					for _, verb := range strings.Fields("get list watch create update patch delete deletecollection escalate bind impersonate") {
						asked.Go(func() {
							places <- struct{}{}
							defer func() { <-places }()
							if may, err := may(t.Context(), client, verb, resource, in, name); err != nil {
								t.Error(err)
							} else if want := listed(verb, resource, in, name); may != want {
								t.Errorf("%s %s %q in %s: allowed: %v, not %v", verb, resource, name, in, may, want)
							}
						})
					}
				}
			}
		}
		asked.Wait()
	})
}

// given are the rights that a binding grants. The binding must be for amp's ServiceAccount.
func given(t *testing.T, m harness.Manifests, in string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) (all []right) {
	t.Helper()
	if want := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "amp", Namespace: "amp-system"}}; !slices.Equal(subjects, want) {
		t.Errorf("%s %s is bound to %v", ref.Kind, ref.Name, subjects)
	}
	var rules []rbacv1.PolicyRule
	if ref.Kind == "Role" {
		rules = decode[rbacv1.Role](t, m, "Role", ref.Name).Rules
	} else {
		rules = decode[rbacv1.ClusterRole](t, m, "ClusterRole", ref.Name).Rules
	}
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		if len(rule.NonResourceURLs) > 0 {
			t.Errorf("%s %s is for addresses: %v", ref.Kind, ref.Name, rule.NonResourceURLs)
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					all = append(all, right{in, strings.TrimSuffix(resource+"."+group, "."), name, strings.Join(rule.Verbs, " ")})
				}
			}
		}
	}
	return all
}

func lines(rights []right) string {
	var all []string
	for _, r := range rights {
		all = append(all, fmt.Sprintf("  %s %s %q in %q", r.verbs, r.resource, r.name, r.in))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// listed reports whether the installed overlay grants amp that right.
func listed(verb, resource, in, name string) bool {
	return slices.ContainsFunc(rights["deploy"], func(r right) bool {
		return r.resource == resource && (r.in == "" || r.in == in) && (r.name == "" || r.name == name) && slices.Contains(strings.Fields(r.verbs), verb)
	})
}

// resources are all resources and subresources, except those by which every user may ask who they are and what they
// may do.
func resources(t *testing.T, d discovery.DiscoveryInterface) (all []string) {
	t.Helper()
	_, lists, err := d.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		group, _, found := strings.Cut(list.GroupVersion, "/")
		if !found {
			group = ""
		}
		for _, r := range list.APIResources {
			if strings.HasPrefix(r.Name, "self") {
				continue
			}
			name, sub, _ := strings.Cut(r.Name, "/")
			name = strings.TrimSuffix(name+"."+group, ".")
			if sub != "" {
				name += "/" + sub
			}
			all = append(all, name)
		}
	}
	slices.Sort(all)
	if all = slices.Compact(all); !slices.Contains(all, "pods/exec") || !slices.Contains(all, "secrets") {
		t.Fatalf("the API server knows %q only", all)
	}
	return all
}

// may asks the API server whether amp may do something.
func may(ctx context.Context, client kubernetes.Interface, verb, resource, in, name string) (bool, error) {
	resource, sub, _ := strings.Cut(resource, "/")
	resource, group, _ := strings.Cut(resource, ".")
	review, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User:   "system:serviceaccount:amp-system:amp",
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:amp-system", "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: verb, Group: group, Resource: resource, Subresource: sub, Namespace: in, Name: name,
			},
		},
	}, metav1.CreateOptions{})
	if err == nil && review.Status.EvaluationError != "" {
		err = errors.New(review.Status.EvaluationError)
	}
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
