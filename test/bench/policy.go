package main

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// expression makes the same change in the API server as the endpoint's patch of 12 operations.
const expression = `[
	JSONPatch{op: "add", path: "/metadata/annotations/example.com~1team", value: "blue"},
	JSONPatch{op: "add", path: "/metadata/annotations/example.com~1cost-center", value: "4711"},
	JSONPatch{op: "add", path: "/metadata/labels/tier", value: "interactive"},
	JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{name: "home",
		persistentVolumeClaim: Object.spec.volumes.persistentVolumeClaim{claimName: "home-jane"}}},
	JSONPatch{op: "add", path: "/spec/containers/0/volumeMounts/-", value: Object.spec.containers.volumeMounts{name: "home", mountPath: "/home/jane"}},
	JSONPatch{op: "add", path: "/spec/containers/0/env/-", value: Object.spec.containers.env{name: "TEAM", value: "blue"}},
	JSONPatch{op: "add", path: "/spec/containers/0/env/-", value: Object.spec.containers.env{name: "HTTPS_PROXY", value: "http://proxy.example:3128"}},
	JSONPatch{op: "add", path: "/spec/containers/0/env/-", value: Object.spec.containers.env{name: "NO_PROXY", value: ".svc,.cluster.local"}},
	JSONPatch{op: "replace", path: "/spec/containers/0/imagePullPolicy", value: "Always"},
	JSONPatch{op: "add", path: "/spec/tolerations/-", value: Object.spec.tolerations{key: "pool", operator: "Equal", value: "interactive", effect: "NoSchedule"}},
	JSONPatch{op: "add", path: "/spec/nodeSelector/pool", value: "interactive"},
	JSONPatch{op: "replace", path: "/spec/terminationGracePeriodSeconds", value: 60}
]`

// policy installs a MutatingAdmissionPolicy for the namespace of that variant.
func (c *cluster) policy(ctx context.Context) error {
	fail := admissionregistrationv1.Fail
	policy := &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "bench"},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			FailurePolicy:      &fail,
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"bench": "policy"}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Mutations: []admissionregistrationv1.Mutation{{PatchType: admissionregistrationv1.PatchTypeJSONPatch, JSONPatch: &admissionregistrationv1.JSONPatch{Expression: expression}}},
		},
	}
	api := c.client.AdmissionregistrationV1()
	if _, err := api.MutatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := api.MutatingAdmissionPolicyBindings().Create(ctx, &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bench"},
		Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "bench"},
	}, metav1.CreateOptions{})
	return err
}
