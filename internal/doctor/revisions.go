package doctor

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// revision is one version of amp's Pods: that of a ReplicaSet or, under Knative, that of a Deployment.
type revision struct {
	name     string // in words: "revision 4"
	number   string // that `kubectl rollout undo` takes, empty if there is none
	template *corev1.PodTemplateSpec
	ready    int32  // replicas
	hash     string // of the template, a label of its Pods; empty if it is unknown
	failure  string // why its Pods cannot be created, empty if they can
	late     string // that its rollout takes too long, empty if it does not
	paused   bool
}

// The names under which Kubernetes and Knative number revisions (k8s.io/kubectl/pkg/util/deployment, knative.dev/serving).
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	knativeRevision    = "serving.knative.dev/revision"
)

// revisions are those of amp: first the one that is wanted, then the others that have ready replicas, the newest first.
// They are empty without a Deployment.
func (s *observed) revisions() []revision {
	var wanted, others []revision
	for i := range s.deployments.value {
		d := &s.deployments.value[i]
		is := revision{name: "the Deployment's last change", template: &d.Spec.Template, ready: d.Status.ReadyReplicas, paused: d.Spec.Paused, failure: stuck(d), late: late(d)}
		if name := d.Labels[knativeRevision]; name != "" {
			is.name = "revision " + name
		}
		var older []revision
		for j := range s.replicaSets.value {
			set := &s.replicaSets.value[j]
			if !metav1.IsControlledBy(set, d) {
				continue
			}
			number := set.Annotations[revisionAnnotation]
			of := revision{name: "revision " + cmp.Or(number, set.Name), number: number, template: &set.Spec.Template,
				ready: set.Status.ReadyReplicas, hash: set.Labels[appsv1.DefaultDeploymentUniqueLabelKey], failure: refused(set)}
			switch {
			case sameTemplate(&set.Spec.Template, &d.Spec.Template):
				is.hash, is.failure = of.hash, cmp.Or(of.failure, is.failure)
				if d.Labels[knativeRevision] == "" {
					is.name = of.name
				}
			case of.ready > 0:
				older = append(older, of)
			}
		}
		for _, o := range older {
			is.ready -= o.ready
		}
		if wanted == nil {
			wanted = []revision{is}
		} else if is.ready > 0 {
			others = append(others, is)
		}
		others = append(others, older...)
	}
	if len(s.deployments.value) > 1 && wanted[0].ready >= replicas(&s.deployments.value[0]) {
		return wanted // Knative lets several revisions serve, as traffic or tags say
	}
	return append(wanted, others...)
}

// sameTemplate compares as the controller does: without the label that it adds.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	delete(a.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(b.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return equality.Semantic.DeepEqual(a, b)
}

// serving is the revision of the ready replicas: the wanted one if any of them is of that, or if none is ready.
func serving(all []revision) *revision {
	for i := range all {
		if all[i].ready > 0 {
			return &all[i]
		}
	}
	if len(all) > 0 {
		return &all[0]
	}
	return nil
}

// refused is why a ReplicaSet's Pods are refused, empty if they are not.
func refused(set *appsv1.ReplicaSet) string {
	for _, c := range set.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

// stuck is why a Deployment gets no Pods. If a quota refuses them, for example, there is no Pod that says why.
func stuck(d *appsv1.Deployment) string {
	return condition(d, appsv1.DeploymentReplicaFailure, corev1.ConditionTrue)
}

// late says that the rollout of a Deployment takes longer than its progressDeadlineSeconds.
func late(d *appsv1.Deployment) string {
	return condition(d, appsv1.DeploymentProgressing, corev1.ConditionFalse)
}

// condition is the message of a Deployment's condition, empty if it has another status.
func condition(d *appsv1.Deployment, of appsv1.DeploymentConditionType, status corev1.ConditionStatus) string {
	for _, c := range d.Status.Conditions {
		if c.Type == of && c.Status == status {
			return c.Message
		}
	}
	return ""
}
