package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// cluster reads from a cluster. Its methods do all of the package's I/O.
type cluster struct {
	config  *rest.Config
	rest    *rest.RESTClient
	meta    metadata.Interface
	timeout time.Duration
}

func connect(o Options) (*cluster, error) {
	config := rest.CopyConfig(o.Config)
	config.QPS = -1 // the API server protects itself
	config.UserAgent = "kubectl-amp/" + o.Version
	config.WarningHandlerWithContext = warningCollector{}
	client, err := newClient(config)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &cluster{config, client, meta, o.Timeout}, nil
}

// get makes one request, within the time for one.
func get[T any](ctx context.Context, c *cluster, request func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return request(ctx)
}

// parallel is how many requests are made at a time.
const parallel = 16

// each calls do for each of all, several at a time, and returns when all calls have ended.
func each[T any](all []T, do func(i int, one T)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	for i, one := range all {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			do(i, one)
		})
	}
	wg.Wait()
}

// version is the API server's. Its answer shows that there is one.
func (c *cluster) version(ctx context.Context) (string, error) {
	answer, err := get(ctx, c, func(ctx context.Context) ([]byte, error) {
		result := c.rest.Get().AbsPath("/version").Do(ctx)
		if err := result.Error(); err != nil { // Raw does not read the Status in the answer
			return nil, err
		}
		return result.Raw()
	})
	if err != nil {
		return "", err
	}
	var info version.Info
	if err := json.Unmarshal(answer, &info); err != nil {
		return "", fmt.Errorf("reading the API server's version: %w", err)
	}
	return info.GitVersion, nil
}

// webhooks are the configurations of both kinds that hold webhooks of amp.
func (c *cluster) webhooks(ctx context.Context) (m, v seen[[]configuration]) {
	wantMutating, wantValidating := deployed()
	mutating, err := ask[admissionv1.MutatingWebhookConfigurationList](ctx, c, c.request(http.MethodGet, admissionv1.SchemeGroupVersion, "", "mutatingwebhookconfigurations"))
	if m.err = err; err == nil {
		for i := range mutating.Items {
			m.value = append(m.value, ofMutating(&mutating.Items[i]))
		}
		m.value = withWebhooksOf(wantMutating, m.value)
	}
	validating, err := ask[admissionv1.ValidatingWebhookConfigurationList](ctx, c, c.request(http.MethodGet, admissionv1.SchemeGroupVersion, "", "validatingwebhookconfigurations"))
	if v.err = err; err == nil {
		for i := range validating.Items {
			v.value = append(v.value, ofValidating(&validating.Items[i]))
		}
		v.value = withWebhooksOf(wantValidating, v.value)
	}
	return m, v
}

// labelled are the labels of amp's Pods in deploy/.
var labelled = map[string]string{"app.kubernetes.io/name": "amp", "app.kubernetes.io/component": "proxy"}

// deployments are those whose Pods the Service selects: amp's one, or those of a Knative Service's revisions. Without a
// Service that selects any, they are those that are labelled as in deploy/. The newest is first.
func (c *cluster) deployments(ctx context.Context, namespace string, service *corev1.Service) seen[[]appsv1.Deployment] {
	list, err := ask[appsv1.DeploymentList](ctx, c, c.request(http.MethodGet, appsv1.SchemeGroupVersion, namespace, "deployments"))
	if err != nil {
		return seen[[]appsv1.Deployment]{err: err}
	}
	var some []appsv1.Deployment
	if service != nil {
		some = withPodLabels(list.Items, service.Spec.Selector)
	}
	if len(some) == 0 {
		some = withPodLabels(list.Items, labelled)
	}
	slices.SortFunc(some, func(a, b appsv1.Deployment) int {
		return cmp.Or(-cmp.Compare(replicas(&a), replicas(&b)), -a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	// Old revisions of a Knative Service stay, scaled to 0.
	if i := slices.IndexFunc(some, func(d appsv1.Deployment) bool { return replicas(&d) == 0 }); i > 0 {
		some = some[:i]
	}
	return seen[[]appsv1.Deployment]{value: some}
}

// withPodLabels are the Deployments whose Pods have these labels. Without labels there are none.
func withPodLabels(all []appsv1.Deployment, want map[string]string) []appsv1.Deployment {
	var some []appsv1.Deployment
	for _, d := range all {
		if len(want) > 0 && labels.SelectorFromSet(want).Matches(labels.Set(d.Spec.Template.Labels)) {
			some = append(some, d)
		}
	}
	return some
}

// podsOf are the Pods of these Deployments. The error is the first one, if those of a Deployment could not be read.
func (c *cluster) podsOf(ctx context.Context, namespace string, deployments []appsv1.Deployment) seen[[]corev1.Pod] {
	var all seen[[]corev1.Pod]
	for _, d := range deployments {
		pods, err := c.pods(ctx, namespace, d.Spec.Selector.MatchLabels)
		all.value, all.err = append(all.value, pods...), cmp.Or(all.err, err)
	}
	return all
}

// pods are those with these labels that have not ended. Evicted Pods stay until they are deleted.
func (c *cluster) pods(ctx context.Context, namespace string, want map[string]string) ([]corev1.Pod, error) {
	list, err := ask[corev1.PodList](ctx, c, c.request(http.MethodGet, corev1.SchemeGroupVersion, namespace, "pods").Param("labelSelector", selector(want)))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
	}), nil
}

// configMaps are those that a container's environment comes from, by name.
func (c *cluster) configMaps(ctx context.Context, namespace string, of *corev1.Container) map[string]seen[*corev1.ConfigMap] {
	all := map[string]seen[*corev1.ConfigMap]{}
	for _, name := range references(of) {
		var found seen[*corev1.ConfigMap]
		found.value, found.err = ask[corev1.ConfigMap](ctx, c, c.request(http.MethodGet, corev1.SchemeGroupVersion, namespace, "configmaps").Name(name))
		all[name] = found
	}
	return all
}

// accountMissing reports whether there is no such ServiceAccount. If it may not be read, it is not missing.
func (c *cluster) accountMissing(ctx context.Context, namespace, account string) bool {
	_, err := ask[corev1.ServiceAccount](ctx, c, c.request(http.MethodGet, corev1.SchemeGroupVersion, namespace, "serviceaccounts").Name(account))
	return apierrors.IsNotFound(err)
}

// access asks the API server for each right whether the ServiceAccount has it.
func (c *cluster) access(ctx context.Context, namespace, account string, rights []authorizationv1.ResourceAttributes) []access {
	const accounts = "system:serviceaccounts"
	all := make([]access, len(rights))
	each(rights, func(i int, right authorizationv1.ResourceAttributes) {
		answer, err := ask[authorizationv1.SubjectAccessReview](ctx, c, c.request(http.MethodPost, authorizationv1.SchemeGroupVersion, "", "subjectaccessreviews").
			Body(&authorizationv1.SubjectAccessReview{
				Spec: authorizationv1.SubjectAccessReviewSpec{
					User:               "system:serviceaccount:" + namespace + ":" + account,
					Groups:             []string{accounts, accounts + ":" + namespace, "system:authenticated"},
					ResourceAttributes: &right,
				},
			}))
		all[i] = access{ResourceAttributes: right, err: err}
		if err == nil {
			all[i].allowed, all[i].reason = answer.Status.Allowed, answer.Status.EvaluationError
		}
	})
	return all
}

// namespaces are those that hold one of amp's keys. All are listed, because one of the faults is a missing label, but
// only their metadata.
func (c *cluster) namespaces(ctx context.Context) seen[[]*namespace] {
	list, err := get(ctx, c, func(ctx context.Context) (*metav1.PartialObjectMetadataList, error) {
		return c.meta.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).
			List(ctx, metav1.ListOptions{ResourceVersion: "0"}) // from the API server's cache, however old that is
	})
	if err != nil {
		return seen[[]*namespace]{err: err}
	}
	return seen[[]*namespace]{value: withAmpKeys(list.Items)}
}

// user is the name that the API server knows the doctor by.
func (c *cluster) user(ctx context.Context) seen[string] {
	me, err := ask[authenticationv1.SelfSubjectReview](ctx, c, c.request(http.MethodPost, authenticationv1.SchemeGroupVersion, "", "selfsubjectreviews").
		Body(&authenticationv1.SelfSubjectReview{}))
	if err != nil {
		return seen[string]{err: err}
	}
	return seen[string]{value: me.Status.UserInfo.Username}
}
