package doctor

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/review"
)

// checkReplicas judges whether amp runs: its Deployment or, under Knative, those of its revisions. While an older
// revision than the wanted one still serves, it says why.
func checkReplicas(s *observed) []Finding {
	f := Finding{Subject: s.fix.subject(), Status: OK}
	switch {
	case s.deployments.err != nil:
		return []Finding{unread(f.Subject, s.deployments.err)}
	case len(s.deployments.value) == 0:
		f.Status, f.Message, f.Remedy = Failed, "there is no Deployment of amp in namespace "+s.fix.namespace, s.fix.apply()
		return []Finding{f}
	}
	wanted, ready := counts(s.deployments.value)
	all := s.revisions()
	is, older := &all[0], all[1:]
	f.Message = fmt.Sprintf("%d of %d ready", ready, wanted)
	if len(older) > 0 {
		f.Message += ", " + share(all)
	}
	stopped := s.hindrance(is, ready < wanted || len(older) > 0)
	switch paused := "Deployment " + s.fix.deployment + " is paused: "; {
	case wanted == 0:
		f.Status, f.Message, f.Remedy = Failed, "Deployment "+s.fix.deployment+" is scaled to 0: no replica answers the API server", s.fix.start(true)
		return []Finding{f}
	case s.wanted.err != nil && len(older) > 0 && ready >= wanted:
		f.Message += "; " + is.name + " does not start, as settings says"
	case is.paused && len(older) > 0:
		f.Status, stopped = Warning, cause{paused + is.name + " is not rolled out", s.fix.resume()}
	case len(older) > 0:
		f.Status, f.Message = Warning, f.Message+"; the rollout of "+is.name+" is not finished"
		stopped.remedy += s.fix.back(&older[0])
	case ready < wanted:
		f.Status = Warning
	case stopped.text != "":
		f.Status, f.Message = Warning, f.Message+", but a new replica does not start"
	case is.paused:
		f.Status, stopped = Warning, cause{paused + "changes to it are not rolled out", s.fix.resume()}
	case wanted == 1:
		f.Status, stopped = Warning, cause{"with a single replica, no Pod can be created in namespaces under Fail while that is replaced or its node is down", s.fix.start(false)}
	}
	if ready == 0 {
		f.Status = Failed
	}
	if f.Status != OK {
		f.Remedy = stopped.remedy
		if stopped.text != "" {
			f.Message += ": " + stopped.text
		}
	}
	if s.pods.err != nil {
		f.Message += "; not all Pods could be read: " + s.pods.err.Error()
	}
	if s.replicaSets.err != nil {
		f.Message += "; whether a rollout is under way is unknown: " + s.replicaSets.err.Error()
	}
	return []Finding{f}
}

// share says in words how many ready replicas each revision has.
func share(all []revision) string {
	var parts []string
	for _, r := range all {
		if r.ready > 0 {
			parts = append(parts, fmt.Sprintf("%d of %s", r.ready, r.name))
		}
	}
	return strings.Join(parts, " and ")
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

// cause is why a replica does not start, and what to do.
type cause struct{ text, remedy string }

// hindrance is why a replica of a revision does not start, as far as Pods, ReplicaSets and Deployments say so. some says
// that replicas are missing. If amp does not start with its environment variables, settings says so.
func (s *observed) hindrance(of *revision, some bool) cause {
	var pods []*corev1.Pod // that are not ready, those of the revision first
	for i := range s.pods.value {
		if p := &s.pods.value[i]; !isReady(p) && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int {
		return strings.Compare(other(of, a), other(of, b))
	})
	if s.wanted.err == nil {
		for _, p := range pods {
			if c := s.fix.waiting(p); c.text != "" {
				return c
			}
		}
	}
	switch {
	case of.failure != "":
		return cause{of.failure, s.fix.refused(of.failure)}
	case !some && of.late == "":
		return cause{}
	}
	var first *corev1.Pod
	if len(pods) > 0 {
		first = pods[0]
	}
	if s.wanted.err != nil {
		return cause{"", s.fix.describe("", first)}
	}
	for _, p := range pods {
		if c := s.notReady(p); c.text != "" {
			return c
		}
	}
	return cause{of.late, s.fix.describe("", first)}
}

// other is empty for a Pod of the revision.
func other(of *revision, p *corev1.Pod) string {
	if p.Labels[appsv1.DefaultDeploymentUniqueLabelKey] == of.hash {
		return ""
	}
	return "other"
}

// waiting is why a Pod does not start, if it is more than that it takes time.
func (r remedies) waiting(pod *corev1.Pod) cause {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return r.explained("Pod %s has no node: %s", pod, c.Message)
		}
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		w := c.State.Waiting
		if w == nil || w.Reason == "ContainerCreating" || w.Reason == "PodInitializing" {
			continue
		}
		text := strings.TrimSuffix(fmt.Sprintf("Pod %s is waiting: %s: %s", pod.Name, w.Reason, w.Message), ": ")
		if t := c.LastTerminationState.Terminated; t != nil {
			text += fmt.Sprintf("; it ended with exit code %d", t.ExitCode)
			if t.Reason != "" && t.Reason != "Error" {
				text += " (" + t.Reason + ")"
			}
			if t.Message != "" && w.Message != t.Message {
				text += ": " + review.Clip(review.Line(t.Message), maxCause)
			}
			if t.Reason == "StartError" || t.Reason == "ContainerCannotRun" { // it has no log
				return cause{text, r.describe(text, pod)}
			}
			return cause{text, "its log says why it ended:\n" + fmt.Sprintf("kubectl -n %s logs %s -c %s --previous", r.namespace, pod.Name, c.Name)}
		}
		return cause{text, r.describe(text, pod)}
	}
	return cause{}
}

// notReady is why a Pod is not ready: what it answers to the probe, what its node says, or what its status says.
func (s *observed) notReady(pod *corev1.Pod) cause {
	is, log := s.states[pod.Name], fmt.Sprintf("kubectl -n %s logs %s", s.fix.namespace, pod.Name)
	switch {
	case is.readyz != "" && is.readyz != "ok":
		return cause{fmt.Sprintf("Pod %s is not ready: %s", pod.Name, is.readyz), "its log says more:\n" + log}
	case is.event != "":
		return s.fix.explained("Pod %s is not ready: %s", pod, is.event)
	}
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			return s.fix.explained("Pod %s: %s", pod, c.Message)
		}
	}
	return cause{}
}

// explained is a cause that a Pod's status or its node names, with what to do about it.
func (r remedies) explained(format string, pod *corev1.Pod, why string) cause {
	text := fmt.Sprintf(format, pod.Name, why)
	return cause{text, r.describe(text, pod)}
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
	case len(all) > 1 && len(s.revisions()) > 1:
		f.Message = "replicas run different images, as a rollout is not finished: " + f.Message // as replicas says
	case len(all) > 1:
		f.Status, f.Message = Warning, "replicas run different images: "+f.Message
		f.Remedy = fmt.Sprintf("this shows which:\nkubectl -n %s get replicasets -o wide", s.fix.namespace)
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
