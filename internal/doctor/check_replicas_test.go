package doctor

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func deployment(wanted, ready int32) appsv1.Deployment {
	return appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "amp"},
		Spec:       appsv1.DeploymentSpec{Replicas: &wanted, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "amp"}}},
		Status:     appsv1.DeploymentStatus{ReadyReplicas: ready},
	}
}

// revisionOf is the ReplicaSet of a Deployment as that is now.
func revisionOf(d *appsv1.Deployment, number string, ready int32) appsv1.ReplicaSet {
	set := appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "amp-" + number, Annotations: map[string]string{revisionAnnotation: number}, Labels: map[string]string{"pod-template-hash": number},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}},
		Spec:   appsv1.ReplicaSetSpec{Template: *d.Spec.Template.DeepCopy()},
		Status: appsv1.ReplicaSetStatus{ReadyReplicas: ready},
	}
	set.Spec.Template.Labels = map[string]string{"pod-template-hash": number}
	for k, v := range d.Spec.Template.Labels {
		set.Spec.Template.Labels[k] = v
	}
	return set
}

func TestReplicas(t *testing.T) {
	crashing := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "amp-1"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s"}}},
	}}}
	unscheduled := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "amp-2"}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available"},
	}}}
	stuck := deployment(2, 2)
	stuck.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Message: "x"},
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}}
	starting := corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}}}}
	for name, test := range map[string]struct {
		found   seen[[]appsv1.Deployment]
		pods    []corev1.Pod
		status  Status
		message string
	}{
		"all ready":              {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, nil, OK, "2 of 2 ready"},
		"revisions of Knative":   {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2), deployment(1, 1)}}, nil, OK, "3 of 3 ready"},
		"scaled to 0":            {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(0, 0)}}, nil, Failed, "Deployment amp is scaled to 0: no replica answers the API server"},
		"crashing":               {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 0)}}, []corev1.Pod{crashing}, Failed, "0 of 2 ready: Pod amp-1 is waiting: CrashLoopBackOff: back-off 10s"},
		"a rollout is stuck":     {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, []corev1.Pod{crashing}, Warning, "2 of 2 ready, but a new replica does not start: Pod amp-1 is waiting: CrashLoopBackOff: back-off 10s"},
		"a rollout has no place": {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, []corev1.Pod{unscheduled}, Warning, "2 of 2 ready, but a new replica does not start: Pod amp-2 has no node: 0/1 nodes are available"},
		"a rollout makes no Pod": {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{stuck}}, nil, Warning, "2 of 2 ready, but a new replica does not start: exceeded quota"},
		"a rollout is under way": {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, []corev1.Pod{starting}, OK, "2 of 2 ready"},
		"one has no place":       {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 1)}}, []corev1.Pod{unscheduled}, Warning, "1 of 2 ready: Pod amp-2 has no node: 0/1 nodes are available"},
		"none":                   {seen[[]appsv1.Deployment]{}, nil, Failed, "there is no Deployment of amp in namespace amp-system"},
		"not to be seen":         {seen[[]appsv1.Deployment]{err: forbidden}, nil, Skipped, "not checked: things is forbidden: <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			c := checkReplicas(&observed{deployments: test.found, pods: seen[[]corev1.Pod]{value: test.pods}, fix: remedies{namespace: "amp-system", deployment: "amp"}})[0]
			if c.Status != test.status || c.Message != test.message || (c.Status == Failed) && c.Remedy == "" {
				t.Errorf("%s: %s (%s)\nwant %s: %s", c.Status, c.Message, c.Remedy, test.status, test.message)
			}
		})
	}
}

func TestImages(t *testing.T) {
	pod := func(image string) corev1.Pod {
		return corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "queue-proxy", Image: "q"}, {Name: "user-container", Image: image}}}}
	}
	running := func(pods ...corev1.Pod) *observed { return &observed{pods: seen[[]corev1.Pod]{value: pods}} }
	going := pod("amp:old")
	going.DeletionTimestamp = &metav1.Time{}
	if status, message := the(t, checkImages(running(pod("amp:1"), pod("amp:1"), going))...); status != OK || message != "amp:1" {
		t.Errorf("%s: %s", status, message)
	}
	if status, message := the(t, checkImages(running(pod("amp:2"), pod("amp:1")))...); status != Warning || message != "replicas run different images: amp:1, amp:2" {
		t.Errorf("%s: %s", status, message)
	}
}
