package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/txn2/amp/internal/workload"
	"github.com/txn2/amp/test/e2e/harness"
)

// cluster is a real kube-apiserver on which deploy/ is installed.
type cluster struct {
	*bench
	world    *harness.World
	client   *kubernetes.Clientset
	endpoint *process
}

// inCluster adds the rows that need an API server.
func (b *bench) inCluster() (err error) {
	c := &cluster{bench: b}
	if c.world, err = harness.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.world.Stop()) }()
	// The harness serves amp through a proxy of its own, which would be measured too.
	if err := c.world.StopReplicas(); err != nil {
		return err
	}
	admin := c.world.API.Admin()
	if err := errors.Join(
		c.world.WriteKubeconfig(context.Background(), "amp-system", "amp", b.path("kubeconfig")),
		os.WriteFile(b.path("admin.crt"), admin.Certificate, 0o600),
		os.WriteFile(b.path("admin.key"), admin.Key, 0o600),
		os.WriteFile(b.path("cluster-ca.pem"), c.world.API.CA(), 0o600),
		os.WriteFile(b.path("pod.json"), workload.ToCreate(), 0o600),
		os.WriteFile(b.path("review.json"), workload.Review(centre.pod), 0o600),
		os.WriteFile(b.path("patch.json"), workload.Patch(centre.ops), 0o600),
	); err != nil {
		return err
	}
	c.client = kubernetes.NewForConfigOrDie(c.world.API.Config())
	if c.endpoint, err = b.endpoint(1); err != nil {
		return err
	}
	defer c.endpoint.stop()
	if err := c.creates(); err != nil {
		return fmt.Errorf("creating Pods: %w", err)
	}
	if err := c.coldStart(); err != nil {
		return fmt.Errorf("cold start: %w", err)
	}
	return c.memory()
}

// variant is one way in which the API server changes a new Pod. Each has a namespace of its own.
type variant struct {
	name   string
	server *process // that the webhook calls; nil: there is no webhook
	path   string
}

// created is one round of creations.
type created struct {
	report
	api, server, endpoint time.Duration // CPU time
}

func (c created) rate() float64         { return float64(c.Counted) / c.Seconds }
func (c created) apiCost() float64      { return c.per(c.api) }
func (c created) serverCost() float64   { return c.per(c.server) }
func (c created) endpointCost() float64 { return c.per(c.endpoint) }
func (c created) per(used time.Duration) float64 {
	return float64(used.Microseconds()) / 1000 / float64(c.Total)
}

func (c *cluster) creates() error {
	bare, err := c.forwarder(c.endpoint)
	if err != nil {
		return err
	}
	defer bare.stop()
	sink, err := c.serving("sink")
	if err != nil {
		return err
	}
	defer sink.stop()
	amp, err := c.proxy("KUBECONFIG="+c.path("kubeconfig"), "AMP_EVENTS=off")
	if err != nil {
		return err
	}
	defer amp.stop()
	withEvents, err := c.proxy("KUBECONFIG="+c.path("kubeconfig"), "AMP_EVENTS=async", "K_SINK=http://"+sink.address)
	if err != nil {
		return err
	}
	defer withEvents.stop()

	variants := []variant{
		{"amp", amp, "/mutate/fail"},
		{"forwarder", bare, "/"},
		{"policy", nil, ""},
		{"nothing", nil, ""},
		{"events", withEvents, "/mutate/fail"},
	}
	if err := c.install(variants); err != nil {
		return err
	}
	var sides []func() (created, error)
	for _, v := range variants {
		sides = append(sides, func() (created, error) { return c.create(v) })
	}
	rounds, err := alternate(c.rounds, sides...)
	if err != nil {
		return err
	}
	const group = "Pods created through a kube-apiserver, 8 callers"
	versus := func(name string, i, j int, of func(created) float64, format string, g goal) {
		c.add(row{Group: group, Name: name, Goal: g, Values: ratios(rounds[i], rounds[j], of), Note: beside([][]created{rounds[i], rounds[j]}, of, format)})
	}
	versus("creates/s ÷ bare forwarder", 0, 1, created.rate, "%.0f/s", atLeast(0.95))
	versus("creates/s ÷ an equal MutatingAdmissionPolicy", 0, 2, created.rate, "%.0f/s", atLeast(0.85))
	versus("creates/s ÷ no webhook", 0, 3, created.rate, "%.0f/s", goal{})
	versus("creates/s with events to an HTTP sink ÷ bare forwarder", 4, 1, created.rate, "%.0f/s", goal{})
	versus("the API server's CPU ÷ with the bare forwarder", 0, 1, created.apiCost, "%.2f ms", atMost(1.05))
	versus("the API server's CPU ÷ with the policy", 0, 2, created.apiCost, "%.2f ms", goal{})
	versus("the API server's CPU ÷ no webhook", 0, 3, created.apiCost, "%.2f ms", goal{})
	versus("amp's CPU ÷ bare forwarder's", 0, 1, created.serverCost, "%.2f ms", goal{})
	versus("the endpoint's CPU ÷ with the bare forwarder", 0, 1, created.endpointCost, "%.2f ms", goal{})
	return nil
}

// install makes the namespaces, a webhook for each server with the settings of deploy/, and the policy. It waits until
// all variants make the same Pod.
func (c *cluster) install(variants []variant) error {
	ctx := context.Background()
	configurations := c.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	deployed, err := configurations.Get(ctx, "amp", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := configurations.Delete(ctx, "amp", metav1.DeleteOptions{}); err != nil {
		return err
	}
	ca, err := os.ReadFile(c.path("ca.pem"))
	if err != nil {
		return err
	}
	for _, v := range variants {
		if err := c.namespace(v.name, map[string]string{"bench": v.name}); err != nil {
			return err
		}
		if v.server == nil {
			continue
		}
		webhook := deployed.Webhooks[0]
		url := "https://" + v.server.address + v.path
		webhook.Name, webhook.ClientConfig = v.name+".example.com", admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: ca}
		webhook.NamespaceSelector = webhook.NamespaceSelector.DeepCopy()
		webhook.NamespaceSelector.MatchLabels["bench"] = v.name
		configuration := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: v.name}, Webhooks: []admissionregistrationv1.MutatingWebhook{webhook}}
		if _, err := configurations.Create(ctx, configuration, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if err := c.policy(ctx); err != nil {
		return err
	}
	return c.untilEqual(ctx, variants)
}

// namespace makes a namespace that has opted in.
func (c *cluster) namespace(name string, labels map[string]string) error {
	all := map[string]string{"amp.txn2.com/enabled": "true"}
	for k, v := range labels {
		all[k] = v
	}
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: all, Annotations: map[string]string{"amp.txn2.com/ep": "http://" + c.endpoint.address}}}
	_, err := c.client.CoreV1().Namespaces().Create(context.Background(), n, metav1.CreateOptions{})
	return err
}

// untilEqual waits until each variant changes a Pod in the same way, except the one that changes none.
func (c *cluster) untilEqual(ctx context.Context, variants []variant) error {
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = c.equal(ctx, variants); err == nil {
			return nil
		}
	}
	return err
}

func (c *cluster) equal(ctx context.Context, variants []variant) error {
	var first *corev1.Pod
	for _, v := range variants {
		pod := &corev1.Pod{}
		err := c.client.CoreV1().RESTClient().Post().Namespace(v.name).Resource("pods").SetHeader("Content-Type", "application/json").Body([]byte(workload.ToCreate())).Do(ctx).Into(pod)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		switch {
		case v.name == "nothing":
			if pod.Labels["tier"] != "" {
				return errors.New("the Pod without a webhook is changed")
			}
			continue
		case pod.Labels["tier"] == "":
			return fmt.Errorf("%s does not change the Pod yet", v.name)
		case first == nil:
			first = pod
		}
		// The annotations differ: amp adds one that names its event.
		if !reflect.DeepEqual(pod.Spec, first.Spec) || !reflect.DeepEqual(pod.Labels, first.Labels) {
			return fmt.Errorf("%s makes another Pod than %s", v.name, variants[0].name)
		}
	}
	return nil
}

// create is one round: real Pods, which are deleted afterwards.
func (c *cluster) create(v variant) (created, error) {
	pids := []int{c.world.API.PID(), c.endpoint.cmd.Process.Pid}
	if v.server != nil {
		pids = append(pids, v.server.cmd.Process.Pid)
	}
	used := func() (now [3]time.Duration) {
		for i, pid := range pids {
			now[i] = cpu(pid)
		}
		return now
	}
	before := used()
	report, err := c.load("-url", c.world.API.URL+"/api/v1/namespaces/"+v.name+"/pods", "-ca", c.path("cluster-ca.pem"), "-cert", c.path("admin.crt"), "-key", c.path("admin.key"),
		"-body", c.path("pod.json"), "-status", "201", "-want", `"kind":"Pod"`, "-callers", "8", "-warm", c.warm.String(), "-for", c.measured.String())
	if err != nil {
		return created{}, fmt.Errorf("%s: %w", v.name, err)
	}
	after := used()
	now := int64(0)
	err = c.client.CoreV1().Pods(v.name).DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	return created{report, after[0] - before[0], after[2] - before[2], after[1] - before[1]}, err
}
