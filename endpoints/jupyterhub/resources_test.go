package jupyterhub

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

func resourcesOf(t *testing.T, text string) (r corev1.ResourceRequirements) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// defaulted returns a Pod as the API server leaves it: a request that is absent is that of the limit.
func defaulted(t *testing.T, p *corev1.Pod) string {
	t.Helper()
	r := &p.Spec.Containers[0].Resources
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			if r.Requests == nil {
				r.Requests = corev1.ResourceList{}
			}
			r.Requests[name] = limit
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRequestsAndLimitsGoTogether(t *testing.T) {
	const keeps = "the Pod keeps its own resources "
	for name, tc := range map[string]struct {
		override           bool
		pod, profile, want string
		warning            string // a prefix
	}{
		"a limit below the Pod's request: the Pod keeps its own": {pod: `{"requests":{"memory":"1Gi"}}`, profile: `{"limits":{"memory":"512Mi"}}`,
			want: `{"requests":{"memory":"1Gi"}}`, warning: keeps + "memory: to replace it, name the field under override"},
		"a request above the Pod's limit: the same": {pod: `{"limits":{"memory":"1Gi"}}`, profile: `{"requests":{"memory":"2Gi"}}`,
			want: `{"limits":{"memory":"1Gi"}}`, warning: keeps + "memory"},
		"other resources are added nevertheless": {pod: `{"requests":{"memory":"1Gi"}}`, profile: `{"limits":{"memory":"512Mi","cpu":"2","nvidia.com/gpu":"1"}}`,
			want: `{"requests":{"memory":"1Gi"},"limits":{"cpu":"2","nvidia.com/gpu":"1"}}`, warning: keeps + "memory: "},
		"a limit above the Pod's request is added": {pod: `{"requests":{"memory":"1Gi"}}`, profile: `{"limits":{"memory":"2Gi"}}`,
			want: `{"requests":{"memory":"1Gi"},"limits":{"memory":"2Gi"}}`},
		"the Pod keeps its request, and gets the limit that it lacks": {pod: `{"requests":{"memory":"1Gi"}}`, profile: `{"requests":{"memory":"2Gi"},"limits":{"memory":"4Gi"}}`,
			want: `{"requests":{"memory":"1Gi"},"limits":{"memory":"4Gi"}}`, warning: keeps + "memory: "},
		"the same amount, spelt in another way": {pod: `{"requests":{"memory":"1073741824"},"limits":{"cpu":"1"}}`, profile: `{"requests":{"memory":"1Gi"},"limits":{"cpu":"1000m"}}`,
			want: `{"requests":{"memory":"1073741824"},"limits":{"cpu":"1"}}`},
		"another number of GPUs": {pod: `{"requests":{"nvidia.com/gpu":"1"},"limits":{"nvidia.com/gpu":"1"}}`, profile: `{"limits":{"nvidia.com/gpu":"2"}}`,
			want: `{"requests":{"nvidia.com/gpu":"1"},"limits":{"nvidia.com/gpu":"1"}}`, warning: keeps + "nvidia.com/gpu: "},
		"nothing to merge with": {pod: `{}`, profile: `{"limits":{"memory":"1Gi"},"requests":{"cpu":"1"}}`, want: `{"limits":{"memory":"1Gi"},"requests":{"cpu":"1"}}`},
		"claims of devices":     {pod: `{"requests":{"cpu":"1"}}`, profile: `{"claims":[{"name":"a"}]}`, want: `{"requests":{"cpu":"1"},"claims":[{"name":"a"}]}`},
		"other claims":          {pod: `{"claims":[{"name":"b"}]}`, profile: `{"claims":[{"name":"a"}]}`, want: `{"claims":[{"name":"b"}]}`, warning: keeps + "claims: "},

		"override: a request above the new limit becomes the limit": {override: true, pod: `{"requests":{"memory":"1Gi","cpu":"1"}}`, profile: `{"limits":{"memory":"512Mi"}}`,
			want: `{"requests":{"memory":"512Mi","cpu":"1"},"limits":{"memory":"512Mi"}}`},
		"override: a request below the new limit stays: more would be reserved than anyone asked for": {override: true, pod: `{"requests":{"memory":"1Gi"},"limits":{"memory":"2Gi"}}`, profile: `{"limits":{"memory":"4Gi"}}`,
			want: `{"requests":{"memory":"1Gi"},"limits":{"memory":"4Gi"}}`},
		"override: a request that the profile gives": {override: true, pod: `{"requests":{"memory":"1Gi"}}`, profile: `{"requests":{"memory":"256Mi"},"limits":{"memory":"512Mi"}}`,
			want: `{"requests":{"memory":"256Mi"},"limits":{"memory":"512Mi"}}`},
		"override: a request below the Pod's limit leaves it": {override: true, pod: `{"requests":{"memory":"1Gi"},"limits":{"memory":"1Gi"}}`, profile: `{"requests":{"memory":"512Mi"}}`,
			want: `{"requests":{"memory":"512Mi"},"limits":{"memory":"1Gi"}}`},
		"override: a request above the Pod's limit lifts it": {override: true, pod: `{"requests":{"memory":"1Gi"},"limits":{"memory":"1Gi"}}`, profile: `{"requests":{"memory":"2Gi"}}`,
			want: `{"requests":{"memory":"2Gi"},"limits":{"memory":"2Gi"}}`},
		"override: another number of GPUs": {override: true, pod: `{"requests":{"nvidia.com/gpu":"1"},"limits":{"nvidia.com/gpu":"1"}}`, profile: `{"limits":{"nvidia.com/gpu":"2"}}`,
			want: `{"requests":{"nvidia.com/gpu":"2"},"limits":{"nvidia.com/gpu":"2"}}`},
		"override: GPUs where there were none": {override: true, pod: `{}`, profile: `{"limits":{"nvidia.com/gpu":"2"}}`, want: `{"limits":{"nvidia.com/gpu":"2"}}`},
		"override: huge pages":                 {override: true, pod: `{"requests":{"hugepages-2Mi":"4Mi"},"limits":{"hugepages-2Mi":"4Mi"}}`, profile: `{"limits":{"hugepages-2Mi":"8Mi"}}`, want: `{"requests":{"hugepages-2Mi":"8Mi"},"limits":{"hugepages-2Mi":"8Mi"}}`},
		"override: other claims":               {override: true, pod: `{"claims":[{"name":"b"}]}`, profile: `{"claims":[{"name":"a"}]}`, want: `{"claims":[{"name":"a"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			profile := `{"users":{"u":{"resources":` + tc.profile + `}}}`
			if tc.override {
				profile = `{"users":{"u":{"override":["resources"],"resources":` + tc.profile + `}}}`
			}
			h := New(write(t, profile))
			got := send(t, h, podOf("u", `"containers":[{"name":"notebook","resources":`+tc.pod+`}]`))
			if got.text != "" {
				t.Fatal(got.text)
			}
			if r := got.pod.Spec.Containers[0].Resources; !equality.Semantic.DeepEqual(r, resourcesOf(t, tc.want)) {
				t.Errorf("%+v, want %s", r, tc.want)
			}
			if w := strings.Join(got.warnings, "\n"); !strings.HasPrefix(w, tc.warning) || (tc.warning == "") != (w == "") {
				t.Errorf("warnings %q, want %q", w, tc.warning)
			}
			for what, pod := range map[string]string{"its own result": got.raw, "what the API server makes of it": defaulted(t, got.pod)} {
				if again := send(t, h, pod); again.ops > 0 {
					t.Errorf("on %s it wants %d operations: %s", what, again.ops, again.raw)
				}
			}
		})
	}
}

func TestTheStrongerProfileDecidesOnAResource(t *testing.T) {
	t.Run("one that is overruled changes nothing", func(t *testing.T) {
		h := New(write(t, `{"defaults":{"resources":{"requests":{"memory":"2Gi"}}},"groups":{"g":{"resources":{"limits":{"memory":"512Mi"}}}},
			"users":{"u":{"groups":["g"],"resources":{"limits":{"memory":"8Gi"}}}}}`))
		want := resourcesOf(t, `{"requests":{"memory":"2Gi"},"limits":{"memory":"8Gi"}}`)
		if r := send(t, h, podOf("u", `"containers":[{"name":"notebook"}]`)).pod.Spec.Containers[0].Resources; !equality.Semantic.DeepEqual(r, want) {
			t.Errorf("%+v, want %+v", r, want)
		}
	})
	for name, tc := range map[string]struct{ weaker, stronger, want string }{
		"a limit below the request of the defaults": {`{"requests":{"memory":"1Gi","cpu":"1"}}`, `{"limits":{"memory":"512Mi"}}`, `{"requests":{"memory":"512Mi","cpu":"1"},"limits":{"memory":"512Mi"}}`},
		"a request above the limit of the defaults": {`{"limits":{"memory":"1Gi"}}`, `{"requests":{"memory":"2Gi"}}`, `{"requests":{"memory":"2Gi"},"limits":{"memory":"2Gi"}}`},
		"both go together":                          {`{"requests":{"memory":"1Gi"}}`, `{"limits":{"memory":"2Gi"}}`, `{"requests":{"memory":"1Gi"},"limits":{"memory":"2Gi"}}`},
		"GPUs":                                      {`{"requests":{"a/b":"1"},"limits":{"a/b":"1"}}`, `{"limits":{"a/b":"2"}}`, `{"requests":{"a/b":"2"},"limits":{"a/b":"2"}}`},
		"claims":                                    {`{"requests":{"cpu":"1"},"claims":[{"name":"a"}]}`, `{"claims":[{"name":"b"}]}`, `{"requests":{"cpu":"1"},"claims":[{"name":"b"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := New(write(t, `{"defaults":{"resources":`+tc.weaker+`},"users":{"u":{"resources":`+tc.stronger+`}}}`))
			for range 2 { // the second time shows that the first one has not changed the profiles
				got := send(t, h, podOf("u", `"containers":[{"name":"notebook"}]`))
				if r := got.pod.Spec.Containers[0].Resources; !equality.Semantic.DeepEqual(r, resourcesOf(t, tc.want)) {
					t.Errorf("%+v, want %s", r, tc.want)
				}
			}
			defaults := send(t, h, podOf("v", `"containers":[{"name":"notebook"}]`))
			if r := defaults.pod.Spec.Containers[0].Resources; !equality.Semantic.DeepEqual(r, resourcesOf(t, tc.weaker)) {
				t.Errorf("someone else gets %+v, want %s", r, tc.weaker)
			}
		})
	}
}

func TestARequestThatNoPodCanHaveIsAMistake(t *testing.T) {
	const larger, equal, none = "is larger than the limit: lower it, or raise the limit", "want the same amount as the limit: this resource cannot be overcommitted", "needs a limit of the same amount: this resource cannot be overcommitted"
	for name, tc := range map[string]struct{ text, want string }{
		"above its limit":     {"defaults:\n  resources:\n    limits: {memory: 1Gi}\n    requests: {memory: 2Gi}\n", "line 4: defaults.resources.requests.memory: " + larger},
		"of GPUs":             {"users: {a: {resources: {limits: {nvidia.com/gpu: 2}, requests: {nvidia.com/gpu: 1}}}}", "line 1: users.a.resources.requests.nvidia.com/gpu: " + equal},
		"of GPUs, no limit":   {"groups: {a: {resources: {requests: {nvidia.com/gpu: 1}}}}", "line 1: groups.a.resources.requests.nvidia.com/gpu: " + none},
		"of a sidecar":        {"defaults: {extraContainers: [{name: a, resources: {limits: {cpu: 1}, requests: {cpu: 2}}}]}", "line 1: defaults.extraContainers[0].resources.requests.cpu: " + larger},
		"of an init":          {"defaults: {extraInitContainers: [{name: a, resources: {limits: {cpu: 1}, requests: {cpu: 2}}}]}", "line 1: defaults.extraInitContainers[0].resources.requests.cpu: " + larger},
		"equal amounts":       {"defaults: {resources: {limits: {memory: 1Gi, a/b: 2}, requests: {memory: 1024Mi, a/b: '2'}}}", ""},
		"a request by itself": {"defaults: {resources: {requests: {memory: 1Gi, cpu: 2, ephemeral-storage: 1Gi}}}", ""},
	} {
		m := mistakesOf(tc.text)
		if tc.want == "" && m != nil || tc.want != "" && (len(m) != 1 || m[0].String() != tc.want) {
			t.Errorf("%s: %v, want %q", name, m, tc.want)
		}
	}
}

// TestCheckSaysWhatBecomesOfTheHubsMemory: z2jh asks for 1 GiB.
func TestCheckSaysWhatBecomesOfTheHubsMemory(t *testing.T) {
	const profile = "users: {alice: {resources: {limits: {memory: 512Mi}}}, bob: {override: [resources], resources: {limits: {memory: 512Mi}}}}"
	for user, want := range map[string]string{
		"alice": "warning: the Pod keeps its own resources memory: to replace it, name the field under override in the profile\nno change: see the warning\n",
		"bob":   `- changes memory request of container notebook from "1073741824" to "512Mi"`,
	} {
		var out bytes.Buffer
		if code := Check(write(t, profile), &Question{User: user}, &out, &out); code != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit code %d, want %q:\n%s", user, code, want, &out)
		}
	}
}
