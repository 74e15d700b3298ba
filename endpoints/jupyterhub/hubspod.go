package jupyterhub

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hubsPod is the Pod of a user's server as Zero to JupyterHub makes it without further settings, as far as a
// profile can collide with it: the home volume, the init container that blocks cloud metadata, the memory, and
// the security contexts.
func hubsPod(user, server string) *corev1.Pod {
	n := spell7(user, server)
	no, yes, uid, root, group := false, true, int64(1000), int64(0), int64(100)
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        "jupyter-" + n.userServer,
			Labels:      map[string]string{"app": "jupyterhub", "component": "singleuser-server"},
			Annotations: map[string]string{Annotation: user},
		},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{FSGroup: &group},
			Volumes: []corev1.Volume{{Name: "volume-" + n.userServer, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim-" + n.userServer}}}},
			InitContainers: []corev1.Container{{
				Name: "block-cloud-metadata", Image: "quay.io/jupyterhub/k8s-network-tools",
				SecurityContext: &corev1.SecurityContext{Privileged: &yes, RunAsUser: &root},
			}},
			Containers: []corev1.Container{{
				Name: "notebook", Image: "quay.io/jupyterhub/k8s-singleuser-sample",
				Env:             []corev1.EnvVar{{Name: "JUPYTERHUB_USER", Value: user}},
				Resources:       corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1073741824")}},
				SecurityContext: &corev1.SecurityContext{RunAsUser: &uid, AllowPrivilegeEscalation: &no},
				VolumeMounts:    []corev1.VolumeMount{{Name: "volume-" + n.userServer, MountPath: "/home/jovyan"}},
			}},
		},
	}
	if server != "" {
		pod.Annotations[ServerAnnotation] = server
	}
	return pod
}
