package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

// cluster is what the doctor looks at, and all of its package that does I/O.
type cluster struct {
	config  *rest.Config
	kube    kubernetes.Interface
	meta    metadata.Interface
	timeout time.Duration
}

func connect(o Options) (*cluster, error) {
	config := rest.CopyConfig(o.Config)
	config.QPS = -1 // the API server protects itself
	config.UserAgent = "kubectl-amp/" + o.Version
	config.WarningHandlerWithContext = warningsOf{}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &cluster{config, kube, meta, o.Timeout}, nil
}

// seen is something that was looked for: a value, or why there is none.
type seen[T any] struct {
	value T
	err   error
}

var getOptions = metav1.GetOptions{}

// get asks for one thing within the time for one.
func get[T any](ctx context.Context, c *cluster, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return ask(ctx)
}

// atOnce is how many things are asked for at a time.
const atOnce = 16

// each does something with all at once, or nearly so.
func each[T any](all []T, do func(i int, one T)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i, one := range all {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			do(i, one)
		})
	}
	wg.Wait()
}

// version is the API server's, and the sign that there is one.
func (c *cluster) version(ctx context.Context) (string, error) {
	answer, err := get(ctx, c, func(ctx context.Context) ([]byte, error) {
		return c.kube.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
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

// webhooks are the configurations of both kinds that hold amp's webhooks.
func (c *cluster) webhooks(ctx context.Context) (m, v seen[[]configuration]) {
	wantM, wantV := shipped()
	ms, err := get(ctx, c, func(ctx context.Context) (all []configuration, err error) {
		list, err := c.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			all = append(all, ofMutating(&list.Items[i]))
		}
		return all, nil
	})
	vs, errV := get(ctx, c, func(ctx context.Context) (all []configuration, err error) {
		list, err := c.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			all = append(all, ofValidating(&list.Items[i]))
		}
		return all, nil
	})
	return seen[[]configuration]{ours(ms, wantM), err}, seen[[]configuration]{ours(vs, wantV), errV}
}

// backend looks for a Service and what is behind it; with pods also for the Pods' labels.
func (c *cluster) backend(ctx context.Context, name types.NamespacedName, pods bool) *backend {
	service, err := get(ctx, c, func(ctx context.Context) (*corev1.Service, error) {
		return c.kube.CoreV1().Services(name.Namespace).Get(ctx, name.Name, getOptions)
	})
	if err != nil {
		return &backend{err: err}
	}
	b := &backend{service: service}
	if service.Spec.Type != corev1.ServiceTypeExternalName {
		list, err := get(ctx, c, func(ctx context.Context) (*discoveryv1.EndpointSliceList, error) {
			return c.kube.DiscoveryV1().EndpointSlices(name.Namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + name.Name})
		})
		if err != nil {
			return &backend{err: err}
		}
		b.slices = list.Items
	}
	if by := backing(service); pods && len(by) > 0 {
		b.labels, b.err = c.podLabels(ctx, name.Namespace, by)
	}
	return b
}

// podLabels are the labels of the Pods that a Service selects or, where none runs now, of those that would be made.
func (c *cluster) podLabels(ctx context.Context, namespace string, by map[string]string) (all []labels.Set, err error) {
	pods, err := c.pods(ctx, namespace, by)
	for _, pod := range pods {
		all = append(all, pod.Labels)
	}
	if err != nil || len(all) > 0 {
		return all, err
	}
	list, err := get(ctx, c, func(ctx context.Context) (*appsv1.DeploymentList, error) {
		return c.kube.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	})
	if err != nil {
		return nil, err
	}
	for _, d := range making(list.Items, by) {
		all = append(all, d.Spec.Template.Labels)
	}
	if len(all) == 0 {
		all = append(all, by) // those by which it would know them
	}
	return all, nil
}

// pods are those that have not ended: evicted ones stay for as long as nobody cleans up.
func (c *cluster) pods(ctx context.Context, namespace string, by map[string]string) ([]corev1.Pod, error) {
	list, err := get(ctx, c, func(ctx context.Context) (*corev1.PodList, error) {
		return c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector(by)})
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
	}), nil
}

// deployments are those whose Pods the Service selects, be they amp's one or those of a Knative Service's
// revisions; without a Service that selects any, those that are labelled as deploy/ does it.
func (c *cluster) deployments(ctx context.Context, namespace string, service *corev1.Service) ([]appsv1.Deployment, error) {
	list, err := get(ctx, c, func(ctx context.Context) (*appsv1.DeploymentList, error) {
		return c.kube.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	})
	if err != nil {
		return nil, err
	}
	var some []appsv1.Deployment
	if service != nil {
		some = making(list.Items, service.Spec.Selector)
	}
	if len(some) == 0 {
		some = making(list.Items, map[string]string{"app.kubernetes.io/name": "amp", "app.kubernetes.io/component": "proxy"})
	}
	// Old revisions of a Knative Service stay, scaled to 0.
	slices.SortFunc(some, func(a, b appsv1.Deployment) int {
		return cmp.Or(-cmp.Compare(replicas(&a), replicas(&b)), -a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	for i := 1; i < len(some); i++ {
		if replicas(&some[i]) == 0 {
			return some[:i], nil
		}
	}
	return some, nil
}

// making are the Deployments whose Pods have these labels, of which there must be one at least.
func making(all []appsv1.Deployment, by map[string]string) (some []appsv1.Deployment) {
	for _, d := range all {
		if len(by) > 0 && labels.SelectorFromSet(by).Matches(labels.Set(d.Spec.Template.Labels)) {
			some = append(some, d)
		}
	}
	return some
}

// configMaps reads those that a container's environment comes from. One that cannot be read is left out; one that does
// not exist says nothing.
func (c *cluster) configMaps(ctx context.Context, namespace string, of *corev1.Container) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, name := range references(of) {
		m, err := get(ctx, c, func(ctx context.Context) (*corev1.ConfigMap, error) {
			return c.kube.CoreV1().ConfigMaps(namespace).Get(ctx, name, getOptions)
		})
		switch {
		case err == nil:
			all[name] = m.Data
		case apierrors.IsNotFound(err):
			all[name] = nil
		}
	}
	return all
}

// may fills in whether the ServiceAccount is allowed what is asked.
func (c *cluster) may(ctx context.Context, namespace, account string, all []access) {
	const accounts = "system:serviceaccounts"
	each(all, func(i int, a access) {
		answer, err := get(ctx, c, func(ctx context.Context) (*authorizationv1.SubjectAccessReview, error) {
			return c.kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
				Spec: authorizationv1.SubjectAccessReviewSpec{
					User:               "system:serviceaccount:" + namespace + ":" + account,
					Groups:             []string{accounts, accounts + ":" + namespace, "system:authenticated"},
					ResourceAttributes: &a.ResourceAttributes,
				},
			}, metav1.CreateOptions{})
		})
		if all[i].err = err; err == nil {
			all[i].allowed = answer.Status.Allowed
		}
	})
}

// presented asks each replica behind the Service for its certificate; where none can be asked, the Secret is. The
// error is why neither could be.
func (c *cluster) presented(ctx context.Context, to called, b backend, secret string) ([]presented, error) {
	if to.url != "" {
		chain, err := c.direct(ctx, net.JoinHostPort(to.host, strconv.Itoa(int(to.port))), to.host)
		if unasked(err) != "" {
			return nil, fmt.Errorf("it cannot be reached from here: %w", err)
		}
		return []presented{{by: to.url, chain: chain, err: err}}, nil
	}
	if to.service.Name == "" {
		return nil, nil
	}
	var all []presented
	if b.err == nil && b.service != nil {
		ready := slices.DeleteFunc(b.ready(to.port), func(t target) bool { return t.pod == "" })
		all = make([]presented, len(ready))
		each(ready, func(i int, t target) {
			chain, err := c.through(ctx, to.service.Namespace, t.pod, t.port, to.host)
			all[i] = presented{by: "pod/" + t.pod, chain: chain, err: err, unasked: unasked(err)}
		})
	}
	if slices.ContainsFunc(all, func(p presented) bool { return p.unasked == "" }) {
		return all, nil
	}
	why := "no replica is behind the Service that could be asked"
	if len(all) > 0 {
		why = all[0].unasked
	}
	chain, err := c.inSecret(ctx, to.service.Namespace, secret)
	if err != nil {
		return nil, fmt.Errorf("%s; %w", why, err)
	}
	return []presented{{by: "secret/" + secret, chain: chain, instead: why}}, nil
}

// unasked says why somebody could not be asked, if that is what an error means.
func unasked(err error) string {
	var tunnel *tunnelError
	if !errors.As(err, &tunnel) {
		return ""
	}
	return "port-forward: " + review.Clip(review.Line(tunnel.Error()), 120)
}

// namespaces are those that hold one of amp's keys. All are listed, since a forgotten label is what is looked
// for too, but of each the metadata only.
func (c *cluster) namespaces(ctx context.Context) ([]namespace, error) {
	list, err := get(ctx, c, func(ctx context.Context) (*metav1.PartialObjectMetadataList, error) {
		// From the API server's cache: of any age that it has.
		return c.meta.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	})
	if err != nil {
		return nil, err
	}
	return concerned(list.Items), nil
}

// around looks for what the namespaces' endpoints lead to.
func (c *cluster) around(ctx context.Context, amp string, all []namespace) *world {
	w := &world{amp: amp, services: map[types.NamespacedName]*backend{}, hosts: map[string]seen[[]netip.Addr]{}}
	own := map[types.NamespacedName]bool{} // Services of a namespace that calls them itself
	var hosts []string
	for _, n := range all {
		for _, e := range slices.Concat(n.policy.Mutate, n.policy.Validate) {
			host := e.URL.Hostname()
			hosts = append(hosts, host)
			if name, _, ok := serviceOf(host, amp); ok && name.Namespace == n.name {
				own[name] = true
			}
		}
	}
	for round, of := 0, hosts; round < maxAliases && len(of) > 0; round++ {
		var names []types.NamespacedName
		for _, host := range of {
			if name, _, ok := serviceOf(host, amp); ok && w.services[name] == nil && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		found := make([]*backend, len(names))
		each(names, func(i int, name types.NamespacedName) { found[i] = c.backend(ctx, name, own[name]) })
		of = nil
		for i, name := range names {
			w.services[name] = found[i]
			if s := found[i].service; s != nil && s.Spec.Type == corev1.ServiceTypeExternalName {
				of = append(of, s.Spec.ExternalName)
			}
		}
	}
	var names []string
	for _, host := range hosts {
		host = w.outside(host)
		if _, err := netip.ParseAddr(host); err == nil || w.service(host) != nil || slices.Contains(names, host) {
			continue
		}
		names = append(names, host)
	}
	found := make([]seen[[]netip.Addr], len(names))
	each(names, func(i int, host string) {
		ctx, cancel := context.WithTimeout(ctx, min(c.timeout, resolving))
		defer cancel()
		found[i].value, found[i].err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	})
	for i, host := range names {
		w.hosts[host] = found[i]
	}
	return w
}

// resolving is more than a name may take: amp's whole review has less.
const resolving = 3 * time.Second

// rules are amp's own about where it may call, as its settings have it, nil where nobody can tell, and if they named
// every host. In a Pod, the API server is the Service kubernetes.
func (c *cluster) rules(ctx context.Context, s *settings) (mayCall, mayName rule) {
	var apiServer []string
	b := c.backend(ctx, types.NamespacedName{Namespace: "default", Name: "kubernetes"}, false)
	if b.err == nil {
		for _, ip := range b.service.Spec.ClusterIPs {
			for _, p := range b.service.Spec.Ports {
				apiServer = append(apiServer, net.JoinHostPort(ip, strconv.Itoa(int(p.Port))))
			}
		}
	}
	mayName, _ = callout.Allowed([]string{"*"}, apiServer) // a list that is known to be good
	if s.doubt("AMP_ENDPOINT_ALLOW") == "" {
		mayCall, _ = s.config.EndpointAllow.Allowed(apiServer) // the addresses are of the form ip:port
	}
	return mayCall, mayName
}

// user is who the doctor is to the API server; empty if that does not say.
func (c *cluster) user(ctx context.Context) string {
	me, err := get(ctx, c, func(ctx context.Context) (*authenticationv1.SelfSubjectReview, error) {
		return c.kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	})
	if err != nil {
		return ""
	}
	return me.Status.UserInfo.Username
}

// dryRun creates a Pod as a dry run: amp and its endpoints are called, nothing is stored.
func (c *cluster) dryRun(ctx context.Context, namespace string, pod *corev1.Pod) (d dryRun) {
	ctx = context.WithValue(ctx, warningsKey{}, &d.warnings)
	_, d.err = get(ctx, c, func(ctx context.Context) (*corev1.Pod, error) {
		return c.kube.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	})
	return d
}

// warningsOf collects the API server's warnings about a request whose context has a place for them.
type warningsOf struct{}

type warningsKey struct{}

func (warningsOf) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	if all, ok := ctx.Value(warningsKey{}).(*[]string); ok && code == 299 && text != "" {
		*all = append(*all, text)
	}
}
