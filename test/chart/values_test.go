package chart

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const (
	amp   = "Deployment amp-system/amp"
	audit = "Deployment amp-audit/audit"
	pod   = "spec.template.spec."
)

// TestValues: each value changes what it is for. That Helm 3 renders the same, TestObjects checks.
func TestValues(t *testing.T) {
	helm, err := helms["Helm 4"]()
	if err != nil {
		t.Fatal(err)
	}
	withAudit := "--set=audit.enabled=true"
	onPostgres := withAudit + ",audit.store=postgres"
	env := func(name string) string { return pod + "containers.amp.env." + name + ".value" }
	for name, test := range map[string]struct {
		set, object, path string
		want              any // nil: nothing is there
	}{
		"replicas":                                     {"--set=replicas=5", amp, "spec.replicas", 5.0},
		"labels, on every object":                      {"--set=labels.team=edge", "MutatingWebhookConfiguration amp", "metadata.labels.team", "edge"},
		"labels keep the objects' own":                 {"--set=labels.app\\.kubernetes\\.io/name=mine", amp, "metadata.labels.app\\.kubernetes\\.io/name", "amp"},
		"another registry":                             {"--set=image.repository=registry.example:5000/amp", amp, pod + "containers.amp.image", "registry.example:5000/amp:v0.1.0"},
		"another tag":                                  {"--set=image.tag=v9", amp, pod + "containers.amp.image", "ghcr.io/txn2/amp:v9"},
		"a digest":                                     {"--set=image.digest=sha256:" + strings.Repeat("a", 64), amp, pod + "containers.amp.image", "ghcr.io/txn2/amp:v0.1.0@sha256:" + strings.Repeat("a", 64)},
		"a pull policy":                                {"--set=image.pullPolicy=Always", amp, pod + "containers.amp.imagePullPolicy", "Always"},
		"secrets to pull":                              {"--set=imagePullSecrets[0].name=mine", amp, pod + "imagePullSecrets.mine.name", "mine"},
		"the image of the functions":                   {withAudit + ",endpointsImage.tag=v9", audit, pod + "containers.audit.image", "ghcr.io/txn2/amp-endpoints:v9"},
		"the image of the samples":                     {"--set=samples.enabled=true,endpointsImage.tag=v9", "Deployment amp-samples/endpoints", pod + "containers.endpoints.image", "ghcr.io/txn2/amp-endpoints:v9"},
		"memory":                                       {"--set=resources.limits.memory=1Gi", amp, pod + "containers.amp.resources.limits.memory", "1Gi"},
		"memory, which Go follows":                     {"--set=resources.limits.memory=1Gi", amp, env("GOMEMLIMIT"), "800MiB"},
		"less memory":                                  {"--set=resources.limits.memory=128Mi", amp, env("GOMEMLIMIT"), "100MiB"},
		"no limit of memory":                           {"--set=resources.limits.memory=null", amp, env("GOMEMLIMIT"), "off"},
		"memory of the audit function":                 {withAudit + ",audit.resources.limits.memory=1Gi", audit, pod + "containers.audit.env.GOMEMLIMIT.value", "512MiB"},
		"CPU":                                          {"--set=resources.limits.cpu=null", amp, pod + "containers.amp.resources.limits.cpu", nil},
		"labels of Pods":                               {"--set=podLabels.team=edge", amp, "spec.template.metadata.labels.team", "edge"},
		"labels of Pods keep the selector":             {"--set=podLabels.app\\.kubernetes\\.io/name=mine", amp, "spec.template.metadata.labels.app\\.kubernetes\\.io/name", "amp"},
		"annotations of Pods":                          {"--set=podAnnotations.a=b", amp, "spec.template.metadata.annotations.a", "b"},
		"a node selector":                              {"--set=nodeSelector.pool=system", amp, pod + "nodeSelector.pool", "system"},
		"tolerations":                                  {"--set=tolerations[0].key=system", amp, pod + "tolerations", []any{map[string]any{"key": "system"}}},
		"affinity":                                     {"--set-json=affinity={\"nodeAffinity\":{}}", amp, pod + "affinity.nodeAffinity", map[string]any{}},
		"another spread":                               {"--set-json=topologySpreadConstraints=[{\"maxSkew\":2}]", amp, pod + "topologySpreadConstraints", []any{map[string]any{"maxSkew": 2.0}}},
		"no spread":                                    {"--set-json=topologySpreadConstraints=[]", amp, pod + "topologySpreadConstraints", []any{}},
		"a priority class that is there":               {"--set=priorityClassName=high", amp, pod + "priorityClassName", "high"},
		"and then the chart makes none":                {"--set=priorityClassName=high", "PriorityClass amp", "value", nil},
		"no priority class":                            {"--set=priorityClassName=", amp, pod + "priorityClassName", nil},
		"no PodDisruptionBudget":                       {"--set=podDisruptionBudget.enabled=false", "PodDisruptionBudget amp-system/amp", "spec", nil},
		"another PodDisruptionBudget":                  {"--set=podDisruptionBudget.maxUnavailable=25%", "PodDisruptionBudget amp-system/amp", "spec.maxUnavailable", "25%"},
		"autoscaling":                                  {"--set=autoscaling.enabled=true,autoscaling.maxReplicas=9", "HorizontalPodAutoscaler amp-system/amp", "spec.maxReplicas", 9.0},
		"a namespace that YAML takes for a number":     {"--set-string=namespace=2024", "Namespace 2024", "metadata.name", "2024"},
		"and for a boolean":                            {"--set-string=namespace=no", "MutatingWebhookConfiguration amp", "webhooks.ignore\\.amp\\.txn2\\.com.clientConfig.service.namespace", "no"},
		"autoscaling decides the replicas":             {"--set=autoscaling.enabled=true", amp, "spec.replicas", nil},
		"where amp may call":                           {"--set=endpoints.allow={*.example.com,10.0.0.0/8}", amp, env("AMP_ENDPOINT_ALLOW"), "*.example.com 10.0.0.0/8"},
		"what a patch may not touch":                   {"--set=patch.deny={/spec/nodeName,/spec/hostPID}", amp, env("AMP_PATCH_DENY"), "/spec/nodeName /spec/hostPID"},
		"a patch may touch all":                        {"--set-json=patch.deny=[]", amp, env("AMP_PATCH_DENY"), "none"},
		"events off":                                   {"--set=events.mode=off", amp, env("AMP_EVENTS"), "off"},
		"a level of events":                            {"--set=events.level=Metadata", amp, env("AMP_EVENTS_LEVEL"), "Metadata"},
		"a source of events":                           {"--set=events.source=https://blue.example.com", amp, env("AMP_EVENTS_SOURCE"), "https://blue.example.com"},
		"a sink":                                       {"--set=events.sink=https://sink.example.com", amp, env("K_SINK"), "https://sink.example.com"},
		"a sink besides the audit function":            {withAudit + ",events.sink=https://sink.example.com", amp, env("K_SINK"), "https://sink.example.com"},
		"required events go to audit":                  {withAudit + ",events.mode=required", amp, env("AMP_EVENTS"), "required"},
		"a token for an https sink stays secret":       {withAudit + ",audit.tokens.write=true,events.sink=https://sink.example.com", amp, env("AMP_EVENTS_TOKEN_INSECURE"), nil},
		"a token for another http sink stays secret":   {withAudit + ",audit.tokens.write=true,events.sink=http://broker.knative-eventing.svc", amp, env("AMP_EVENTS_TOKEN_INSECURE"), nil},
		"another variable":                             {"--set=settings.AMP_TIMEOUT=1s", amp, env("AMP_TIMEOUT"), "1s"},
		"another variable, a number":                   {"--set=settings.AMP_ENDPOINT_MAX_BYTES=2097152", amp, env("AMP_ENDPOINT_MAX_BYTES"), "2097152"},
		"another variable, a large number from a file": {"--values=testdata/values.yaml", "Deployment edge/amp", env("AMP_ENDPOINT_MAX_BYTES"), "2097152"},
		"another variable wins":                        {"--set=settings.GOMEMLIMIT=1GiB", amp, env("GOMEMLIMIT"), "1GiB"},
		"a variable from elsewhere":                    {"--set=extraEnv[0].name=X,extraEnv[0].valueFrom.fieldRef.fieldPath=spec.nodeName", amp, pod + "containers.amp.env.X.valueFrom.fieldRef.fieldPath", "spec.nodeName"},
		"a volume":                                     {"--set=extraVolumes[0].name=ca,extraVolumes[0].secret.secretName=ca", amp, pod + "volumes.ca.secret.secretName", "ca"},
		"a volume besides amp's own":                   {"--set=extraVolumes[0].name=ca,extraVolumes[0].secret.secretName=ca", amp, pod + "volumes.events-token.name", "events-token"},
		"a mount":                                      {"--set=extraVolumeMounts[0].name=ca,extraVolumeMounts[0].mountPath=/ca", amp, pod + "containers.amp.volumeMounts.ca.mountPath", "/ca"},
		"labels of alerts":                             {"--set=alerts.enabled=true,alerts.labels.release=prometheus", "PrometheusRule amp-system/amp", "metadata.labels.release", "prometheus"},
		"labels of the dashboard":                      {"--set=dashboards.enabled=true,dashboards.labels.team=edge", "ConfigMap amp-system/amp-dashboards", "metadata.labels.team", "edge"},
		"Helm is told to keep the events":              {withAudit, "PersistentVolumeClaim amp-audit/audit", "metadata.annotations.helm\\.sh/resource-policy", "keep"},
		"Helm is told to keep their namespace":         {onPostgres, "Namespace amp-audit", "metadata.annotations.helm\\.sh/resource-policy", "keep"},
		"a variable of audit":                          {withAudit + ",audit.settings.AMP_METRICS_ADDR=:2112", audit, pod + "containers.audit.env.AMP_METRICS_ADDR.value", ":2112"},
		"how long events are kept":                     {withAudit + ",audit.retention=24h", audit, pod + "containers.audit.env.AMP_AUDIT_RETENTION.value", "24h"},
		"the size of the volume":                       {withAudit + ",audit.storage.size=1Ti", "PersistentVolumeClaim amp-audit/audit", "spec.resources.requests.storage", "1Ti"},
		"the class of the volume":                      {withAudit + ",audit.storage.storageClassName=fast", "PersistentVolumeClaim amp-audit/audit", "spec.storageClassName", "fast"},
		"a node selector of audit":                     {withAudit + ",audit.nodeSelector.pool=system", audit, pod + "nodeSelector.pool", "system"},
		"tolerations of audit":                         {withAudit + ",audit.tolerations[0].key=system", audit, pod + "tolerations", []any{map[string]any{"key": "system"}}},
		"replicas of audit":                            {onPostgres + ",audit.replicas=4", audit, "spec.replicas", 4.0},
		"another Secret of the database":               {onPostgres + ",audit.postgres.secret=mine", audit, pod + "containers.audit.env.AMP_AUDIT_DB.valueFrom.secretKeyRef.name", "mine"},
		"and its volume":                               {onPostgres + ",audit.postgres.secret=mine", audit, pod + "volumes.postgres.secret.secretName", "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			var before any
			if object, ok := rendered(t, helm, withoutValue(test.set)...)[test.object]; ok {
				before = at(object, test.path)
			}
			got := at(rendered(t, helm, test.set)[test.object], test.path)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s is %v, want %v", test.path, got, test.want)
			}
			if reflect.DeepEqual(before, got) && !strings.Contains(name, "keep") && !strings.Contains(name, "stays") && !strings.Contains(name, "besides amp's own") {
				t.Errorf("%s was %v before", test.path, before)
			}
		})
	}

	t.Run("excluded namespaces, in every webhook, besides those that are excluded anyway", func(t *testing.T) {
		all := rendered(t, helm, "--set=webhooks.excludedNamespaces={kyverno,kube-system}")
		for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
			for _, w := range at(all[kind+" amp"], "webhooks").([]any) {
				out := at(w, "namespaceSelector.matchExpressions").([]any)[1].(map[string]any)["values"]
				if want := []any{"kube-system", "amp-system", "kyverno"}; !reflect.DeepEqual(out, want) {
					t.Errorf("%v leaves out %v, want %v", at(w, "name"), out, want)
				}
			}
		}
	})
}

// withoutValue is what switches on the part that a value belongs to.
func withoutValue(set string) []string {
	var on []string
	for _, value := range strings.Split(strings.TrimPrefix(set, "--set="), ",") {
		if strings.HasSuffix(value, ".enabled=true") && !strings.HasPrefix(value, "autoscaling.") || value == "audit.store=postgres" {
			on = append(on, "--set="+value)
		}
	}
	return on
}

// TestObjects: with many values set, each object has only fields that its kind has, and both majors of Helm render the same.
func TestObjects(t *testing.T) {
	var first objects
	withBoth(t, func(t *testing.T, helm string) {
		all := rendered(t, helm, "--values=testdata/values.yaml")
		if first == nil {
			first = all
		}
		compare(t, all, first)
		for name, into := range map[string]any{
			"Deployment edge/amp": &appsv1.Deployment{}, audit: &appsv1.Deployment{}, "Deployment amp-samples/endpoints": &appsv1.Deployment{},
			"HorizontalPodAutoscaler edge/amp": &autoscalingv2.HorizontalPodAutoscaler{},
			"PodDisruptionBudget edge/amp":     &policyv1.PodDisruptionBudget{},
		} {
			text, err := yaml.Marshal(all[name])
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(text, into); err != nil || all[name] == nil {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
		}
	})
}

// TestRefused: a mistake in the values is an error that names the value.
func TestRefused(t *testing.T) {
	for set, want := range map[string]string{
		"replica=3":                             "additional properties 'replica' not allowed",
		"audit.store=mysql":                     "at '/audit/store': value must be one of 'sqlite', 'postgres'",
		"audit.stor=sqlite":                     "at '/audit': additional properties 'stor' not allowed",
		"certificates=none":                     "at '/certificates': value must be one of 'self', 'cert-manager'",
		"resources.limits.memory=1G":            "at '/resources/limits/memory': '1G' does not match pattern",
		"endpoints.allow={a b}":                 "at '/endpoints/allow/0': 'a b' does not match pattern",
		"patch.deny={spec}":                     "at '/patch/deny/0': 'spec' does not match pattern",
		"replicas=0":                            "at '/replicas'",
		"events.mode=sync":                      "at '/events/mode': value must be one of",
		"events.sink=audit":                     "at '/events/sink': 'audit' does not match pattern",
		"settings.amp_timeout=1s":               "'amp_timeout' does not match pattern",
		"image.digest=abc":                      "at '/image/digest'",
		"events.mode=required":                  "set events.sink, or audit.enabled=true",
		"audit.enabled=1":                       "at '/audit/enabled'",
		"namespace=Mine":                        "at '/namespace'",
		"podDisruptionBudget.maxUnavailable=0%": "at '/podDisruptionBudget/maxUnavailable'",
		"autoscaling.enabled=true,autoscaling.minReplicas=9": "autoscaling.minReplicas is 9, which is more than autoscaling.maxReplicas, 6",
		"audit.settings.db=x":                                "'db' does not match pattern",
		"audit.replicas=2":                                   "",
		"audit.enabled=true,audit.replicas=2":                "only one process may use SQLite's file; set audit.store=postgres",
	} {
		t.Run(set, func(t *testing.T) {
			withBoth(t, func(t *testing.T, helm string) {
				_, err := run(helm, "template", "amp", filepath.Join(root, "deploy/chart"), "--set", set)
				if want == "" && err == nil {
					return
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("it says %v, want %q", err, want)
				}
			})
		})
	}
}

// TestLint: helm lint finds nothing wrong, and the notes name the next step.
func TestLint(t *testing.T) {
	withBoth(t, func(t *testing.T, helm string) {
		chart := filepath.Join(root, "deploy/chart")
		for _, values := range [][]string{nil, {"--values=testdata/values.yaml"}} {
			if said, err := run(helm, append([]string{"lint", "--strict", chart}, values...)...); err != nil {
				t.Errorf("%v\n%s", err, said)
			}
		}
		// Helm 3 asks a cluster first.
		if strings.Contains(t.Name(), "Helm_3") {
			return
		}
		said, err := run(helm, "install", "amp", chart, "--dry-run=client", "--set=audit.enabled=true,audit.store=postgres,audit.postgres.reader=true,audit.tokens.read=true,audit.tokens.write=true")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"helm test amp --namespace default", "kubectl label namespace team-a amp.txn2.com/enabled=true",
			"create secret generic audit-postgres", "from-literal=read-password", "-n amp-audit create secret generic audit-read",
			"-n amp-audit create secret generic audit-write", "-n amp-system create secret generic audit-write", "set events.source"} {
			if !strings.Contains(said, want) {
				t.Errorf("the notes do not say %q", want)
			}
		}
	})
}
