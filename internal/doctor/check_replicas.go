package doctor

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// checkReplicas judges whether amp runs: its Deployment or, under Knative, those of its revisions.
func checkReplicas(s *observed) []Finding {
	f := Finding{Subject: s.fix.subject()}
	switch {
	case s.deployments.err != nil:
		return []Finding{unread(f.Subject, s.deployments.err)}
	case len(s.deployments.value) == 0:
		f.Status, f.Message, f.Remedy = Failed, "there is no Deployment of amp in namespace "+s.fix.namespace, s.fix.apply()
		return []Finding{f}
	}
	wanted, ready := counts(s.deployments.value)
	why := s.startFailure(ready < wanted)
	f.Message = fmt.Sprintf("%d of %d ready", ready, wanted)
	switch {
	case wanted == 0:
		f.Status, f.Message, f.Remedy = Failed, "Deployment "+s.fix.deployment+" is scaled to 0: no replica answers the API server", s.fix.start()
		return []Finding{f}
	case ready == 0:
		f.Status = Failed
	case ready < wanted:
		f.Status = Warning
	case why != "":
		f.Status, f.Message = Warning, f.Message+", but a new replica does not start"
	default:
		f.Status = OK
	}
	if why != "" {
		f.Message += ": " + why
	}
	if s.pods.err != nil {
		f.Message += "; not all Pods could be read: " + s.pods.err.Error()
	}
	if f.Status != OK {
		f.Remedy = fmt.Sprintf("kubectl -n %s describe pods -l %s\n%s",
			s.fix.namespace, selector(s.deployments.value[0].Spec.Selector.MatchLabels), s.fix.logs())
	}
	return []Finding{f}
}

// counts are the replicas that the Deployments want, and those that are ready.
func counts(deployments []appsv1.Deployment) (wanted, ready int32) {
	for _, d := range deployments {
		wanted, ready = wanted+replicas(&d), ready+d.Status.ReadyReplicas
	}
	return wanted, ready
}

func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// startFailure is why a replica does not start, as far as the status of Pods and Deployments says; empty if none says
// so. some says that replicas are missing. If amp does not start with its environment variables, settings says so.
func (s *observed) startFailure(some bool) string {
	pods := s.pods.value
	if s.settings.err != nil {
		pods = nil
	}
	if some {
		return notReady(pods)
	}
	for _, pod := range pods {
		if why := waiting(&pod); why != "" {
			return why
		}
	}
	return stuck(s.deployments.value)
}

// notReady is why the first Pod that is not ready is not.
func notReady(pods []corev1.Pod) string {
	for _, pod := range pods {
		if isReady(&pod) {
			continue
		}
		if why := waiting(&pod); why != "" {
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

// waiting is why a Pod does not start, if it is more than that it takes time.
func waiting(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return fmt.Sprintf("Pod %s has no node: %s", pod.Name, c.Message)
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return strings.TrimSuffix(fmt.Sprintf("Pod %s is waiting: %s: %s", pod.Name, w.Reason, w.Message), ": ")
		}
	}
	return ""
}

// stuck is why a Deployment gets no Pods. If a quota refuses them, for example, there is no Pod that says why.
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

func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// checkImages judges whether all replicas run the same image. Two versions of amp can answer differently.
func checkImages(s *observed) []Finding {
	var all []string
	for _, pod := range s.pods.value {
		if pod.DeletionTimestamp == nil {
			if c := ampContainer(pod.Spec.Containers); c != nil {
				all = append(all, c.Image)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	f := Finding{Subject: s.fix.subject(), Status: OK, Message: strings.Join(all, ", ")}
	switch {
	case len(all) > 1:
		f.Status, f.Message = Warning, "replicas run different images: "+f.Message
		f.Remedy = fmt.Sprintf("kubectl -n %s rollout status deployment/%s", s.fix.namespace, s.fix.deployment)
	case s.pods.err != nil:
		return []Finding{unread(f.Subject, s.pods.err)}
	case len(all) == 0:
		return nil // as replicas says
	}
	return []Finding{f}
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
