package doctor

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
)

// checkReplicas tells whether amp runs, by its Deployment or, under Knative, those of its revisions.
func checkReplicas(deployments seen[[]appsv1.Deployment], pods []corev1.Pod, fix remedies) Check {
	c := Check{ID: "replicas", Subject: "deployment/" + fix.deployment}
	switch {
	case deployments.err != nil:
		c.Status, c.Message = Skipped, "not looked at: "+deployments.err.Error()
		return c
	case len(deployments.value) == 0:
		c.Status, c.Message, c.Remedy = Failed, "no Deployment of amp is in namespace "+fix.namespace, fix.apply()
		return c
	}
	var wanted, ready int32
	for _, d := range deployments.value {
		wanted, ready = wanted+replicas(&d), ready+d.Status.ReadyReplicas
	}
	c.Message = fmt.Sprintf("%d of %d ready", ready, wanted)
	switch {
	case wanted == 0:
		c.Status, c.Message, c.Remedy = Failed, "Deployment "+fix.deployment+" is scaled to 0: nobody answers the API server", fix.start()
	case ready < wanted:
		if c.Status = Warning; ready == 0 {
			c.Status = Failed
		}
		if why := trouble(pods); why != "" {
			c.Message += ": " + why
		}
		c.Remedy = fmt.Sprintf("kubectl -n %s describe pods -l %s\n%s", fix.namespace, selector(deployments.value[0].Spec.Selector.MatchLabels), fix.logs())
	default:
		c.Status = OK
		why := waiting(pods)
		if why == "" {
			why = stuck(deployments.value)
		}
		if why != "" {
			c.Status, c.Message = Warning, c.Message+", but a new one does not start: "+why
			c.Remedy = fmt.Sprintf("kubectl -n %s describe pods -l %s\n%s", fix.namespace, selector(deployments.value[0].Spec.Selector.MatchLabels), fix.logs())
		}
	}
	return c
}

func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// selector writes labels as kubectl's -l takes them.
func selector(labels map[string]string) string {
	var all []string
	for k, v := range labels {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// trouble is why the first Pod that is not ready is not, as far as its status says.
func trouble(pods []corev1.Pod) string {
	for _, pod := range pods {
		if ready(&pod) {
			continue
		}
		if why := waiting([]corev1.Pod{pod}); why != "" {
			return why
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Status == corev1.ConditionFalse && condition.Message != "" {
				return fmt.Sprintf("Pod %s: %s", pod.Name, condition.Message)
			}
		}
	}
	return ""
}

// stuck is why a Deployment does not get its Pods: a quota refuses them for one, and then there is none to look at.
func stuck(deployments []appsv1.Deployment) string {
	for _, d := range deployments {
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue ||
				c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
				return c.Message
			}
		}
	}
	return ""
}

// waiting is why a container does not start, other than that it takes its time.
func waiting(pods []corev1.Pod) string {
	for _, pod := range pods {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				return fmt.Sprintf("Pod %s has no node: %s", pod.Name, c.Message)
			}
		}
		for _, s := range pod.Status.ContainerStatuses {
			if w := s.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
				return strings.TrimSuffix(fmt.Sprintf("Pod %s is waiting: %s: %s", pod.Name, w.Reason, w.Message), ": ")
			}
		}
	}
	return ""
}

func ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// checkImages tells whether all replicas run the same: two versions side by side may answer differently.
func checkImages(pods []corev1.Pod, fix remedies) []Check {
	images := map[string]bool{}
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil {
			if c := container(pod.Spec.Containers); c != nil {
				images[c.Image] = true
			}
		}
	}
	var all []string
	for image := range images {
		all = append(all, image)
	}
	slices.Sort(all)
	c := Check{ID: "images", Subject: "deployment/" + fix.deployment, Status: OK, Message: strings.Join(all, ", ")}
	switch len(all) {
	case 0:
		return nil // as replicas says
	case 1:
		return []Check{c}
	}
	c.Status, c.Message = Warning, "replicas run different images: "+c.Message
	c.Remedy = fmt.Sprintf("kubectl -n %s rollout status deployment/%s", fix.namespace, fix.deployment)
	return []Check{c}
}

// container is amp's among those of its Pod: under Knative there is a proxy beside it.
func container(all []corev1.Container) *corev1.Container {
	if i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == "amp" }); i >= 0 {
		return &all[i]
	}
	if i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name != "queue-proxy" }); i >= 0 {
		return &all[i]
	}
	return nil
}

// checkService tells whether the Service that the webhooks name leads to amp. That nobody is ready behind it
// is no news where no replica is. Whom the webhooks call, all holds once.
func checkService(all []called, backend backend, replicasReady bool, fix remedies) Check {
	var to called
	if len(all) > 0 {
		to = all[0]
	}
	c := Check{ID: "service", Subject: "service/" + to.service.Name, Status: Failed, Remedy: fix.apply()}
	switch {
	case len(all) > 1:
		var whom []string
		for _, to := range all {
			whom = append(whom, fmt.Sprintf("%s:%d", to.host, to.port))
		}
		c.Message = "the webhooks do not all call the same: " + strings.Join(whom, ", ")
	case to.url != "":
		c.Subject, c.Status, c.Remedy = to.url, OK, ""
		c.Message = "the webhooks call " + to.url
	case len(all) == 0:
		c.Subject, c.Status, c.Remedy = "service/", Skipped, ""
		c.Message = "not looked at: no webhook says which Service is called"
	case to.service.Namespace != fix.namespace:
		c.Message = fmt.Sprintf("the webhooks call Service %s in namespace %s, not in %s", to.service.Name, to.service.Namespace, fix.namespace)
		c.Remedy = "look there: kubectl amp doctor -n " + to.service.Namespace + "\nor let them call here: " + fix.apply()
	case apierrors.IsNotFound(backend.err):
		c.Message = "Service " + to.service.Name + ", which the webhooks call, is missing in namespace " + to.service.Namespace
	case backend.err != nil:
		c.Status, c.Message, c.Remedy = Skipped, "not looked at: "+backend.err.Error(), ""
	case backend.port(to.port) == nil:
		c.Message = fmt.Sprintf("the webhooks call port %d of Service %s, which has %s", to.port, to.service.Name, backend.ports())
	case len(backend.ready(to.port)) > 0:
		c.Status, c.Remedy = OK, ""
		c.Message = fmt.Sprintf("%s:%d leads to %s", to.host, to.port, count(len(backend.ready(to.port)), "ready replica"))
	case !replicasReady:
		c.Status, c.Message, c.Remedy = Skipped, "no replica is ready that it could lead to", ""
	default:
		c.Message = fmt.Sprintf("replicas are ready, but Service %s selects none of them on a port of theirs", to.service.Name)
	}
	return c
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// backend is a Service and what is behind it.
type backend struct {
	err     error // why there is no Service
	service *corev1.Service
	slices  []discoveryv1.EndpointSlice
	labels  []labels.Set // of the Pods, where they matter
}

func (b *backend) port(n int32) *corev1.ServicePort {
	for i, p := range b.service.Spec.Ports {
		if p.Port == n && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) {
			return &b.service.Spec.Ports[i]
		}
	}
	return nil
}

func (b *backend) ports() string {
	var all []string
	for _, p := range b.service.Spec.Ports {
		all = append(all, fmt.Sprint(p.Port))
	}
	if len(all) == 0 {
		return "no port"
	}
	return "port " + strings.Join(all, ", ")
}

// target is where a connection to a Service ends.
type target struct {
	pod     string // empty where it is none
	address string
	port    int32
}

// ready are the targets behind a port of the Service that take connections, each Pod once.
func (b *backend) ready(port int32) []target {
	var all []target
	p := b.port(port)
	if b.service.Spec.ClusterIP == corev1.ClusterIPNone {
		p = nil
	}
	for _, slice := range b.slices {
		number := port // of a headless Service: nobody translates
		for _, sp := range slice.Ports {
			if p != nil && sp.Port != nil && sp.Name != nil && *sp.Name == p.Name {
				number = *sp.Port
			}
		}
		if !slices.ContainsFunc(slice.Ports, func(sp discoveryv1.EndpointPort) bool { return sp.Port == nil || *sp.Port == number }) {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready || len(e.Addresses) == 0 {
				continue
			}
			to := target{address: e.Addresses[0], port: number}
			if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
				to.pod = e.TargetRef.Name
			}
			if to.pod != "" && slices.ContainsFunc(all, func(other target) bool { return other.pod == to.pod }) {
				continue // by its address of the other IP family
			}
			all = append(all, to)
		}
	}
	return all
}
