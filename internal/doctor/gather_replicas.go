package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/txn2/amp/internal/review"
)

// replicaSets are those of these Deployments.
func (c *cluster) replicaSets(ctx context.Context, namespace string, deployments []appsv1.Deployment) seen[[]appsv1.ReplicaSet] {
	var all seen[[]appsv1.ReplicaSet]
	for i := range deployments {
		list, err := ask[appsv1.ReplicaSetList](ctx, c, c.request(http.MethodGet, appsv1.SchemeGroupVersion, namespace, "replicasets").
			Param("labelSelector", selector(deployments[i].Spec.Selector.MatchLabels)))
		if err != nil {
			all.err = cmp.Or(all.err, err)
			continue
		}
		all.value = append(all.value, list.Items...)
	}
	return all
}

// state is what a Pod that is not ready says of itself, and what its node says of it.
type state struct {
	readyz string // the answer of its readiness probe, empty if it did not answer
	event  string // the last warning, empty if there is none
}

// maxStates is how many Pods are asked. Those of one Deployment mostly say the same.
const maxStates = 4

// states asks the Pods that are not ready, by name.
func (c *cluster) states(ctx context.Context, pods []corev1.Pod) map[string]state {
	var some []*corev1.Pod
	for i := range pods {
		if p := &pods[i]; !isReady(p) && p.DeletionTimestamp == nil && len(some) < maxStates {
			some = append(some, p)
		}
	}
	found := make([]state, len(some))
	each(some, func(i int, p *corev1.Pod) {
		// Without the right to ask, the report says what the Pod's status says.
		found[i].readyz, _ = c.readyz(ctx, p)
		found[i].event, _ = c.lastWarning(ctx, p)
	})
	all := map[string]state{}
	for i, p := range some {
		all[p.Name] = found[i]
	}
	return all
}

// readyz is what the Pod answers to its readiness probe.
func (c *cluster) readyz(ctx context.Context, pod *corev1.Pod) (string, error) {
	is := ampContainer(pod.Spec.Containers)
	if is == nil || is.ReadinessProbe == nil || is.ReadinessProbe.HTTPGet == nil {
		return "", errors.New("it has no readiness probe over HTTP")
	}
	probe := is.ReadinessProbe.HTTPGet
	answer, err := c.askPod(ctx, pod, string(probe.Scheme), portOf(is, probe.Port.String()), probe.Path, 4<<10)
	return review.Clip(review.Line(answer), maxCause), err
}

// portOf is the number of a container's port that a name stands for, or the name itself if it is a number.
func portOf(c *corev1.Container, name string) string {
	for _, p := range c.Ports {
		if p.Name == name {
			return fmt.Sprint(p.ContainerPort)
		}
	}
	return name
}

// askPod is what a Pod answers to a GET that is sent through the API server, at most limit bytes of it.
func (c *cluster) askPod(ctx context.Context, pod *corev1.Pod, scheme, port, path string, limit int64) (string, error) {
	client, err := rest.HTTPClientFor(c.config)
	if err != nil {
		return "", err
	}
	name := strings.ToLower(cmp.Or(scheme, string(corev1.URISchemeHTTP))) + ":" + pod.Name + ":" + port
	to := c.rest.Get().Namespace(pod.Namespace).Resource("pods").Name(name).SubResource("proxy").Suffix(path).URL()
	return get(ctx, c, func(ctx context.Context) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
		if err != nil {
			return "", err
		}
		answer, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(io.LimitReader(answer.Body, limit))
		if err != nil {
			return "", err
		}
		// The API server's own answers are of kind Status.
		var own metav1.Status
		if json.Unmarshal(body, &own) == nil && own.Kind == "Status" {
			return "", errors.New(own.Message)
		}
		return string(body), nil
	})
}

// lastWarning is the last event of type Warning about a Pod, with its reason.
func (c *cluster) lastWarning(ctx context.Context, pod *corev1.Pod) (string, error) {
	list, err := ask[corev1.EventList](ctx, c, c.request(http.MethodGet, corev1.SchemeGroupVersion, pod.Namespace, "events").
		Param("fieldSelector", "type=Warning,involvedObject.name="+pod.Name))
	if err != nil {
		return "", err
	}
	var last *corev1.Event
	at := func(e *corev1.Event) metav1.Time {
		if e.LastTimestamp.IsZero() {
			return metav1.Time(e.EventTime)
		}
		return e.LastTimestamp
	}
	for i := range list.Items {
		e := &list.Items[i]
		if last == nil || !at(e).Time.Before(at(last).Time) {
			last = e
		}
	}
	if last == nil {
		return "", nil
	}
	return review.Clip(review.Line(last.Reason+": "+last.Message), maxCause), nil
}
