// Package doctor looks at an installation of amp, says what is wrong with it and how to put it right. It
// changes nothing: the Pods that it creates are dry runs.
//
// It gathers first (cluster.go, present.go) and then checks what it has seen, which is pure: each check is a
// function of its own, and one failure is told once, not again by all that follows from it. What amp decides,
// how a Namespace reads, which address may be called, what a variable may be, is not decided here but asked
// of amp's own code.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/serve"
)

// Options say where to look.
type Options struct {
	Config    *rest.Config
	Namespace string        // where amp is installed; empty: where the webhooks lead
	Timeout   time.Duration // for each thing that is asked
	Version   string        // of this program
}

// Run looks at the installation. An error means that the cluster could not be asked, or that ctx ended; whatever else
// is wrong is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	c, err := connect(o)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	version, err := c.version(ctx)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	m, v := c.webhooks(ctx)
	if m.err != nil && v.err != nil {
		return nil, fmt.Errorf("looking for amp's webhooks: %w", m.err)
	}
	i := c.installation(ctx, o.Namespace, m, v)
	report := &Report{Version: o.Version, Kubernetes: version, Namespace: i.fix.namespace}
	report.Checks = i.checks(time.Now())
	report.Checks = append(report.Checks, c.examine(ctx, i, broken(report.Checks))...)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("looking at the installation: %w", err) // what was skipped for that is no finding
	}
	for _, check := range report.Checks {
		report.Summary.count(check.Status)
	}
	return report, nil
}

func broken(checks []Check) bool {
	return slices.ContainsFunc(checks, func(c Check) bool { return c.Status == Failed })
}

// installation is what was seen of amp itself.
type installation struct {
	mutating, validating seen[[]configuration]
	called               []called // whom the webhooks call, each once
	behind               backend  // the first of them
	deployments          seen[[]appsv1.Deployment]
	pods                 []corev1.Pod
	account              string // its ServiceAccount, empty if unknown
	image                string // that its Pods are made of
	settings             settings
	access               []access
	presented            seen[[]presented]
	fix                  remedies
	mayCall, mayName     rule // see world
}

// configurations are all that were found.
func (i *installation) configurations() []configuration {
	return slices.Concat(i.mutating.value, i.validating.value)
}

// installation looks at amp in namespace or, if that is empty, where its webhooks lead.
func (c *cluster) installation(ctx context.Context, namespace string, m, v seen[[]configuration]) *installation {
	i := &installation{mutating: m, validating: v}
	for _, configuration := range i.configurations() {
		i.fix.injected = i.fix.injected || configuration.annotations["cert-manager.io/inject-ca-from"] != ""
		for _, h := range configuration.hooks {
			if to := calledBy(h.ClientConfig); !slices.Contains(i.called, to) {
				i.called = append(i.called, to)
			}
		}
	}
	var to called
	if len(i.called) > 0 {
		to = i.called[0]
	}
	i.fix.url, i.fix.namespace = to.url, cmp.Or(namespace, to.service.Namespace, shippedNamespace)
	namespace = i.fix.namespace

	if to.service.Name != "" {
		i.behind = *c.backend(ctx, to.service, false)
	}
	if i.behind.service != nil {
		i.fix.knative = i.behind.service.Spec.Selector["serving.knative.dev/service"]
	}
	i.deployments.value, i.deployments.err = c.deployments(ctx, namespace, i.behind.service)
	i.fix.deployment, i.image = "amp", "amp"
	var amp *corev1.Container
	if all := i.deployments.value; len(all) > 0 {
		spec := &all[0].Spec.Template.Spec
		i.account, amp = cmp.Or(spec.ServiceAccountName, "default"), container(spec.Containers)
		i.fix.deployment, i.fix.knative = all[0].Name, all[0].Labels["serving.knative.dev/service"]
		if amp != nil {
			i.image = amp.Image
		}
		for _, d := range all {
			pods, err := c.pods(ctx, namespace, d.Spec.Selector.MatchLabels)
			if err == nil {
				i.pods = append(i.pods, pods...)
			}
		}
		i.fix.secret = mountedSecret(spec)
	}
	i.settings = read(amp, c.configMaps(ctx, namespace, amp))
	if i.settings.doubt("AMP_TLS") == "" {
		i.fix.tls = i.settings.config.TLS
	}
	if i.fix.tls == serve.TLSSelf || i.fix.secret == "" {
		i.fix.secret = i.settings.config.TLSSecret
	}
	i.mayCall, i.mayName = c.rules(ctx, &i.settings)
	i.fix.allow = i.settings.config.EndpointAllow.String()
	if i.account != "" {
		i.access = needed(namespace, i.settings.config)
		c.may(ctx, namespace, i.account, i.access)
	}
	i.presented.value, i.presented.err = c.presented(ctx, to, i.behind, i.fix.secret)
	return i
}

// mountedSecret is the Secret that a Pod mounts, if it mounts just one: AMP_TLS=files reads it.
func mountedSecret(spec *corev1.PodSpec) string {
	var names []string
	for _, v := range spec.Volumes {
		if v.Secret != nil {
			names = append(names, v.Secret.SecretName)
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return ""
}

// checks are those of amp itself.
func (i *installation) checks(now time.Time) []Check {
	wantM, wantV := shipped()
	pods := i.pods
	if i.settings.err != nil {
		pods = nil // what keeps them from starting is told by the settings
	}
	checks := slices.Concat(
		checkWebhooks(i.mutating, wantM, i.fix),
		checkWebhooks(i.validating, wantV, i.fix),
		[]Check{checkService(i.called, i.behind, slices.ContainsFunc(i.pods, func(p corev1.Pod) bool { return ready(&p) }), i.fix)},
		[]Check{checkReplicas(i.deployments, pods, i.fix)},
		checkImages(i.pods, i.fix),
		checkCertificates(i.configurations(), i.presented, now, i.fix),
		[]Check{checkAccess(i.account, i.access, i.fix)},
	)
	if len(i.deployments.value) == 0 {
		return checks // there is no environment to look at
	}
	return append(checks, checkSettings(i.settings, i.fix), checkEventsSource(i.settings, i.fix), checkEventsSink(i.settings, i.fix))
}

// examine looks at the namespaces. Where the installation is broken no Pod is tried: each namespace would
// only say so again.
func (c *cluster) examine(ctx context.Context, i *installation, broken bool) []Check {
	untold := func(id, why string) Check { return Check{ID: id, Subject: "namespaces", Status: Skipped, Message: why} }
	if i.settings.config.NamespacesFile != "" {
		return []Check{untold("namespaces", "not looked at: amp goes by a file of Namespaces (AMP_NAMESPACES_FILE)")}
	}
	all, err := c.namespaces(ctx)
	if err != nil {
		return []Check{untold("namespaces", "not looked at: "+err.Error())}
	}
	w := c.around(ctx, i.fix.namespace, all)
	w.mayCall, w.mayName = i.mayCall, i.mayName
	var opted []*namespace
	var others []Check
	for k := range all {
		if n := &all[k]; n.policy.Enabled {
			opted = append(opted, n)
		} else {
			others = append(others, checkOptIn(n)...)
		}
	}
	own := make([][]Check, len(opted)) // by namespace
	for k, n := range opted {
		own[k] = checkNamespace(n, i, w, broken)
	}
	var whole []Check
	switch {
	case len(opted) == 0:
		whole = append(whole, untold("dry-run", "no namespace has opted in that a Pod could be tried in"))
	case broken:
		whole = append(whole, untold("dry-run", "no Pod was tried in any namespace: what failed above comes first"))
	default:
		runs, user := make([]*dryRun, len(opted)), c.user(ctx)
		each(opted, func(k int, n *namespace) { runs[k] = c.try(ctx, n, own[k], i.image, user) })
		for k, n := range opted {
			if runs[k] != nil {
				own[k] = append(own[k], checkDryRun(n, runs[k]))
			}
		}
		whole = checkCalls(opted, runs, i.fix, i.settings.config.TLSClientCA != "")
	}
	return slices.Concat(whole, slices.Concat(own...), others)
}

// try creates a Pod as a dry run, nil where the namespace asks nobody. One that fails is tried again: an endpoint may
// start only when it is asked, and what a doctor wakes is no patient.
func (c *cluster) try(ctx context.Context, n *namespace, checks []Check, image, user string) *dryRun {
	pod := podLike(n.policy.Pods, image)
	switch {
	case len(n.asked()) == 0:
		return nil
	case broken(checks):
		return &dryRun{untried: "what failed above comes first"}
	case pod == nil:
		return &dryRun{untried: "none could be thought of that " + namespaces.AnnotationPods + " selects"}
	}
	d := c.dryRun(ctx, n.name, pod)
	if d.user = user; checkDryRun(n, &d).Status == Failed {
		d = c.dryRun(ctx, n.name, pod)
		d.user = user
	}
	return &d
}

// checkNamespace are the checks of one that has opted in, but for its dry run.
func checkNamespace(n *namespace, i *installation, w *world, broken bool) []Check {
	checks := []Check{checkKeys(n)}
	if len(i.mutating.value) == 1 && !broken {
		checks = append(checks, checkSelected(n, i.mutating.value[0])...)
	}
	checks = append(checks, checkEndpoints(n)...)
	mutation := namespaces.AnnotationEndpoint
	if _, ok := n.annotations[mutation]; !ok {
		mutation = namespaces.AnnotationMutationEndpoint
	}
	for _, e := range n.policy.Mutate {
		checks = append(checks, checkEndpoint(n, mutation, e, w, i.fix))
	}
	for _, e := range n.policy.Validate {
		checks = append(checks, checkEndpoint(n, namespaces.AnnotationValidation, e, w, i.fix))
	}
	checks = slices.Concat(checks, checkDeadlock(n, w), checkValidate(n))
	if i.settings.doubt("AMP_TIMEOUT") == "" {
		checks = append(checks, checkTimeout(n, i.settings.config.Timeout)...)
	}
	return checks
}
