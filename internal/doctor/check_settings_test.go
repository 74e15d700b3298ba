package doctor

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/serve"
)

// configMap is one that was read.
func configMap(name string, data map[string]string) map[string]seen[*corev1.ConfigMap] {
	return map[string]seen[*corev1.ConfigMap]{name: {value: &corev1.ConfigMap{Data: data}}}
}

// A container's env overrides a ConfigMap, even if the value cannot be seen.
func TestSettingsFromASecretHideThoseOfAConfigMap(t *testing.T) {
	s := readSettings(&corev1.Container{
		Env:     []corev1.EnvVar{{Name: "AMP_TIMEOUT", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}}},
		EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "m"}}}},
	}, configMap("m", map[string]string{"AMP_TIMEOUT": "1s"}))
	if s.config.Timeout != defaults().Timeout || s.doubt("AMP_TIMEOUT") == "" {
		t.Errorf("%+v", s)
	}
}

// A whole Secret, or a ConfigMap that cannot be read, may set anything.
func TestUnseenSettings(t *testing.T) {
	for name, c := range map[string]*corev1.Container{
		"a Secret":    {EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}},
		"a ConfigMap": {EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}}}}},
		"everything":  nil,
	} {
		s := &observed{settings: readSettings(c, nil), wanted: readSettings(c, nil)}
		for _, check := range []Finding{checkEventsSource(s), checkEventsSink(s)} {
			if check.Status != Skipped || !strings.HasSuffix(check.Message, "may be set where it cannot be seen") {
				t.Errorf("%s: %+v", name, check)
			}
		}
		if check := checkSettings(s); check.Status != OK || !strings.HasSuffix(check.Message, "as far as they can be seen") {
			t.Errorf("%s: %+v", name, check)
		}
		if c != nil {
			c.Env = []corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", Value: "https://a"}}
			if check := checkEventsSource(&observed{settings: readSettings(c, nil)}); check.Status != OK {
				t.Errorf("what the container says itself is hidden by %s: %+v", name, check)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	from := func(key string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "m"}, Key: key}}
	}
	secret := &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}
	maps := configMap("m", map[string]string{"source": "https://a.example/amp", "AMP_TIMEOUT": "1s"})
	for name, test := range map[string]struct {
		env     []corev1.EnvVar
		id      string
		status  Status
		message string
	}{
		"nothing set":           {nil, "settings", OK, "amp's environment variables are valid"},
		"a bad value":           {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "never"}}, "settings", Failed, `amp does not start with its environment variables: AMP_EVENTS="never": allowed: off, async and required`},
		"another is good":       {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "never"}, {Name: "AMP_EVENTS_SOURCE", Value: "https://b.example"}}, "events-source", OK, "events name https://b.example as their source"},
		"a sink in a Secret":    {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "required"}, {Name: "K_SINK", ValueFrom: secret}}, "settings", Skipped, "not checked: K_SINK may be set where it cannot be seen; without it: AMP_EVENTS=required needs K_SINK: the sink must accept each event"},
		"the default source":    {nil, "events-source", Warning, "AMP_EVENTS_SOURCE is still the default: events do not say which cluster they are from"},
		"another source":        {[]corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", ValueFrom: from("source")}}, "events-source", OK, "events name https://a.example/amp as their source"},
		"a source unknown":      {[]corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", ValueFrom: from("gone")}}, "events-source", Skipped, "not checked: AMP_EVENTS_SOURCE is set where it cannot be seen"},
		"a source put together": {[]corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", Value: "https://$(CLUSTER)/amp"}}, "events-source", Skipped, "not checked: AMP_EVENTS_SOURCE is set where it cannot be seen"},
		"names put together":    {[]corev1.EnvVar{{Name: "AMP_TLS_DNS_NAMES", Value: "amp.$(POD_NAMESPACE).svc"}}, "settings", OK, "amp's environment variables are valid, as far as they can be seen"},
		"two that go together":  {[]corev1.EnvVar{{Name: "AMP_TLS", Value: "files"}}, "settings", Failed, "amp does not start with its environment variables: AMP_TLS=files needs AMP_TLS_CERT and AMP_TLS_KEY"},
		"what a step judges":    {[]corev1.EnvVar{{Name: "AMP_PATCH_DENY", Value: "spec"}, {Name: "K_SINK", Value: "u:p@sink"}}, "settings", Failed, `amp does not start with its environment variables: AMP_PATCH_DENY: "spec" is not a JSON pointer such as /spec/nodeName or /spec/containers/*/securityContext: it must begin with a slash; K_SINK: the URL does not begin with http:// or https://; allowed: an http or https URL`},
		"a sink that is bad":    {[]corev1.EnvVar{{Name: "K_SINK", Value: "u:p@sink"}}, "events-sink", Skipped, "not checked: K_SINK is bad"},
		"a sink unknown":        {[]corev1.EnvVar{{Name: "K_SINK", ValueFrom: secret}}, "events-sink", Skipped, "not checked: K_SINK is set where it cannot be seen"},
		"no events":             {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "off"}}, "events-source", OK, "AMP_EVENTS is off: there are no events"},
		"no sink":               {nil, "events-sink", OK, "K_SINK is not set: events go to stdout only, one JSON line each"},
		"a sink with password":  {[]corev1.EnvVar{{Name: "K_SINK", Value: "http://u:p@broker.svc/x?t=y"}}, "events-sink", OK, "events go to http://broker.svc/x"},
	} {
		t.Run(name, func(t *testing.T) {
			set := readSettings(&corev1.Container{Env: test.env, EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "m"}}}}}, maps)
			if set.err == nil && set.config.Timeout.String() != "1s" {
				t.Errorf("the ConfigMap is ignored: %s", set.config.Timeout)
			}
			s := &observed{settings: set, wanted: set, deployments: seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, fix: remedies{namespace: "amp-system", deployment: "amp"}}
			for _, c := range judge(checks, s) {
				if c.ID == test.id && (c.Status != test.status || c.Message != test.message) {
					t.Errorf("%s: %s\nwant %s: %s", c.Status, c.Message, test.status, test.message)
				}
				if strings.Contains(c.Message, "u:p") || strings.Contains(c.Message, "t=y") {
					t.Errorf("%s shows a password or a query", c.Message)
				}
			}
		})
	}
}

// A sink that is a Service must be there.
func TestSinkService(t *testing.T) {
	for name, test := range map[string]struct {
		sink   string
		change func(*api)
		want   string
	}{
		"it is there":                    {"http://hook.hooks.svc.cluster.local/x", nil, "ok: events go to http://hook.hooks.svc.cluster.local/x"},
		"there is none":                  {"http://me:secret@audit.amp-audit.svc", nil, "warning: events go to http://audit.amp-audit.svc, but there is no such Service: they are lost"},
		"events are required":            {"http://audit.amp-audit.svc", func(a *api) { a.configMaps["amp"]["AMP_EVENTS"] = "required" }, "failed: events go to http://audit.amp-audit.svc, but there is no such Service: with AMP_EVENTS=required each mutation fails"},
		"it has another port":            {"http://hook.hooks.svc:8080", nil, "warning: events go to http://hook.hooks.svc:8080, but that Service has port 80, not 8080: they are lost"},
		"no Pod is behind it":            {"http://hook.hooks.svc", func(a *api) { a.services["hooks/hook"].slices.value = nil }, "warning: events go to http://hook.hooks.svc, but no Pod behind that Service is ready: they are lost"},
		"it may not be read":             {"http://audit.amp-audit.svc", func(a *api) { a.forbidden = ".*/services/audit" }, "ok: events go to http://audit.amp-audit.svc"},
		"it is not in the cluster":       {"https://sink.example.com/", nil, "ok: events go to https://sink.example.com/"},
		"it can be a name outside of it": {"https://sink.example/", nil, "ok: events go to https://sink.example/"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.configMaps["amp"]["K_SINK"] = test.sink
			if test.change != nil {
				test.change(a)
			}
			if got := message(t, a, "events-sink"); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// What the manifest sets is changed there: the next apply would undo a command. Anything else a command sets for good.
func TestRemediesLast(t *testing.T) {
	r := remedies{namespace: "amp-system", deployment: "amp", manifest: `{"spec":{"template":{"spec":{"containers":[{"name":"amp","env":[{"name":"AMP_TLS","value":"self"}]}]}}}}`}
	h, again := r, "helm upgrade my-amp CHART --namespace amp-system --reset-then-reuse-values"
	const with = "\nCHART is the chart in the version that is installed. If Helm 4 names a conflict, add --force-conflicts."
	h.release = release{"my-amp", "amp-system"}
	off := h
	off.tls = serve.TLSOff
	for name, test := range map[string]struct{ got, want string }{
		"it is not in the manifest":       {r.set("AMP_TIMEOUT=1s", "K_SINK=x"), "kubectl -n amp-system set env deployment/amp AMP_TIMEOUT=1s K_SINK=x"},
		"it is in the manifest":           {r.set("AMP_TLS=off"), "in your overlay of deploy, which installed amp, set AMP_TLS=off in the env of its container. Then\nkubectl apply -k OVERLAY"},
		"it is to be removed":             {r.set("AMP_TIMEOUT-"), "kubectl -n amp-system set env deployment/amp AMP_TIMEOUT-"},
		"it is to be removed from there":  {r.set("AMP_TLS-"), "in your overlay of deploy, which installed amp, remove AMP_TLS from the env of its container. Then\nkubectl apply -k OVERLAY"},
		"a value with an equals sign":     {r.set("K_SINK=http://a/?b=AMP_TLS=x-"), "kubectl -n amp-system set env deployment/amp K_SINK=http://a/?b=AMP_TLS=x-"},
		"the manifest cannot be read":     {remedies{namespace: "a", deployment: "amp", manifest: "{"}.set("A=b"), "kubectl -n a set env deployment/amp A=b"},
		"the manifest says nothing of it": {r.start(false), "kubectl -n amp-system scale deployment/amp --replicas 2"},
		"Helm installed amp":              {h.set("AMP_TLS=off"), again + " --set-literal settings.AMP_TLS=off" + with},
		"by Helm, what has a value":       {h.set("K_SINK=http://a/?b=c,d"), again + " --set-literal events.sink=http://a/?b=c,d" + with},
		"by Helm, a list":                 {h.set("AMP_ENDPOINT_ALLOW='10.0.0.0/8 a'"), "add it to endpoints.allow in the values of release my-amp, which then are '10.0.0.0/8 a'. Then\n" + again + with},
		"by Helm, several":                {h.set("AMP_TLS_DNS_NAMES=a,b", "AMP_TLS_CLIENT_CA-"), again + " --set-literal settings.AMP_TLS_DNS_NAMES=a,b --set settings.AMP_TLS_CLIENT_CA=null" + with},
		"by Helm, replicas":               {h.start(false), "in the values of release my-amp, set replicas (or, with autoscaling, autoscaling.minReplicas) to 2 or more. Then\n" + again + with},
		"by Helm, scaled to 0":            {h.start(true), "kubectl -n amp-system scale deployment/amp --replicas 2"},
		"by Helm, all of it":              {h.apply(), "apply the chart again that installed amp:\n" + again + with},
		"by Helm, what has no value":      {h.overlay("do so"), "in the values of release my-amp, do so. Then\n" + again + with},
		"by Helm, names of roles":         {h.otherNames(), "in the values of release my-amp, remove AMP_TLS_SECRET and AMP_WEBHOOKS. Then\n" + again + with},
		"by Helm, no TLS":                 {off.noTLS(), again + " --set settings.AMP_TLS=null" + with},
		"by Helm, on another cluster":     {withFlags(h.set("A=b"), "--kubeconfig k --context c"), "helm --kubeconfig k --kube-context c" + strings.TrimPrefix(again, "helm") + " --set-literal settings.A=b" + with},
		"by Helm, a name with a command":  {release{"a;reboot", "b"}.upgrade(), "helm upgrade 'a;reboot' CHART --namespace b --reset-then-reuse-values" + with},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, not %q", name, test.got, test.want)
		}
	}
}
