package jupyterhub

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
)

// result is what an endpoint makes of a Pod, by the API server's library.
type result struct {
	status   int
	text     string // of an error
	refusal  string
	warnings []string
	ops      int
	raw      string
	pod      *corev1.Pod
}

func send(t testing.TB, h http.HandlerFunc, pod string) result {
	t.Helper()
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pod)))
	r := result{status: w.Code, raw: pod}
	if w.Code != http.StatusOK {
		r.text = w.Body.String()
		return r
	}
	var long struct {
		Allowed  bool `json:"allowed"`
		Status   struct{ Message string }
		Warnings []string        `json:"warnings"`
		Patch    json.RawMessage `json:"patch"`
	}
	patch := json.RawMessage(w.Body.Bytes())
	if json.Unmarshal(patch, &long) == nil {
		patch, r.warnings, r.refusal = long.Patch, long.Warnings, long.Status.Message
	}
	if len(patch) > 0 {
		p, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.Apply([]byte(pod))
		if err != nil {
			t.Fatalf("applying %s: %v", patch, err)
		}
		r.ops, r.raw = len(p), string(out)
	}
	r.pod = new(corev1.Pod)
	if err := json.Unmarshal([]byte(r.raw), r.pod); err != nil {
		t.Fatal(err)
	}
	return r
}

// summary says what a container has in a few words: NAME=value, NAME<-source, path<-volume/subPath.
func summary(c corev1.Container) []string {
	out := []string{}
	for _, e := range c.Env {
		switch {
		case e.ValueFrom == nil:
			out = append(out, e.Name+"="+e.Value)
		case e.ValueFrom.SecretKeyRef != nil:
			out = append(out, e.Name+"<-"+e.ValueFrom.SecretKeyRef.Name)
		case e.ValueFrom.FieldRef != nil:
			out = append(out, e.Name+"<-"+e.ValueFrom.FieldRef.FieldPath)
		}
	}
	for _, m := range c.VolumeMounts {
		out = append(out, m.MountPath+"<-"+m.Name+"/"+m.SubPath)
	}
	return out
}

func volumes(p *corev1.Pod) []string {
	out := []string{}
	for _, v := range p.Spec.Volumes {
		out = append(out, v.Name)
	}
	return out
}

func podOf(user, spec string) string {
	u, _ := json.Marshal(user)
	return fmt.Sprintf(`{"kind":"Pod","metadata":{"annotations":{"hub.jupyter.org/username":%s}},"spec":{%s}}`, u, spec)
}

func recorded(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheSampleGivesARecordedPodWhatIsAlices(t *testing.T) {
	pod := recorded(t, "jupyterhub-user.pod.json")
	var before corev1.Pod
	if err := json.Unmarshal([]byte(pod), &before); err != nil {
		t.Fatal(err)
	}
	got := send(t, New(""), pod)
	had := len(before.Spec.Containers[0].Env)
	c := got.pod.Spec.Containers[0]
	if d := cmp.Diff(before.Spec.Containers[0].Env, c.Env[:had]); d != "" {
		t.Errorf("what the hub set has changed:\n%s", d)
	}
	c.Env = c.Env[had:]
	want := []string{"WORKSPACE=/home/jovyan/workspace", "POD_NAMESPACE<-metadata.namespace", "CATALOGUE=/data/astronomy", "S3_PREFIX=home/alice", "S3_TOKEN<-s3-alice",
		"/home/jovyan/workspace<-workspaces/users/alice", "/data/astronomy<-astronomy/"}
	if d := cmp.Diff(want, summary(c)); d != "" {
		t.Errorf("added (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"workspaces", "astronomy"}, volumes(got.pod)); d != "" {
		t.Errorf("volumes (-want +got):\n%s", d)
	}
	if again := send(t, New(""), got.raw); again.ops > 0 {
		t.Errorf("on its own result it wants %d operations", again.ops)
	}
}

func TestTheSample(t *testing.T) {
	defaults := []string{"WORKSPACE=/home/jovyan/workspace", "POD_NAMESPACE<-metadata.namespace", "/home/jovyan/workspace<-workspaces/users/mallory"}
	for name, tc := range map[string]struct {
		pod       string
		notebook  []string
		init      []string
		volumes   []string
		unchanged bool
		warning   string
	}{
		"bob's own value wins over the default": {pod: podOf("bob", `"containers":[{"name":"notebook"}]`),
			notebook: []string{"WORKSPACE=/home/jovyan", "POD_NAMESPACE<-metadata.namespace", "/home/jovyan/workspace<-workspaces/users/bob"}, volumes: []string{"workspaces"}},
		"an unknown user gets the defaults": {pod: podOf("mallory", `"containers":[{"name":"notebook"}]`),
			notebook: defaults, volumes: []string{"workspaces"}, warning: `user "mallory" has no profile: the defaults apply`},
		"lists that are null or empty": {pod: podOf("mallory", `"volumes":null,"initContainers":[],"containers":[{"name":"notebook","env":null,"volumeMounts":[]}]`),
			notebook: defaults, volumes: []string{"workspaces"}, warning: `user "mallory" has no profile: the defaults apply`},
		"init containers get what is theirs": {pod: podOf("bob", `"initContainers":[{"name":"i","env":[{"name":"A","value":"1"}]}],"containers":[{"name":"notebook"}]`),
			init:     []string{"A=1", "WORKSPACE=/workspace", "/workspace<-workspaces/users/bob"},
			notebook: []string{"WORKSPACE=/home/jovyan", "POD_NAMESPACE<-metadata.namespace", "/home/jovyan/workspace<-workspaces/users/bob"}, volumes: []string{"workspaces"}},
		"what is there stays": {pod: podOf("mallory", `"volumes":[{"name":"workspaces","hostPath":{"path":"/x"}}],"containers":[{"name":"notebook",
			"env":[{"name":"WORKSPACE","value":"mine"}],"volumeMounts":[{"name":"workspaces","mountPath":"/home/jovyan/workspace/"}]}]`),
			notebook: []string{"WORKSPACE=mine", "POD_NAMESPACE<-metadata.namespace", "/home/jovyan/workspace/<-workspaces/"}, volumes: []string{"workspaces"}, warning: "user \"mallory\" has no profile: the defaults apply\nthe Pod keeps its own volumes workspaces, env WORKSPACE, volumeMounts /home/jovyan/workspace: to replace it, name the field under override in the profile"},
		"the notebook is found by its name": {pod: podOf("bob", `"containers":[{"name":"sidecar"},{"name":"notebook"}]`), notebook: []string{}, volumes: []string{"workspaces"}},
		"or is the first container": {pod: podOf("bob", `"containers":[{"name":"main"},{"name":"sidecar"}]`),
			notebook: []string{"WORKSPACE=/home/jovyan", "POD_NAMESPACE<-metadata.namespace", "/home/jovyan/workspace<-workspaces/users/bob"}, volumes: []string{"workspaces"}},
		"a Pod without a user is left alone": {pod: recorded(t, "worker-generate-name.pod.json"), unchanged: true},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, New(""), tc.pod)
			if tc.unchanged {
				if got.ops > 0 || got.warnings != nil {
					t.Errorf("%d operations, warnings %q", got.ops, got.warnings)
				}
				return
			}
			if d := cmp.Diff(tc.notebook, summary(got.pod.Spec.Containers[0])); d != "" {
				t.Errorf("first container (-want +got):\n%s", d)
			}
			if tc.init != nil {
				if d := cmp.Diff(tc.init, summary(got.pod.Spec.InitContainers[0])); d != "" {
					t.Errorf("init container (-want +got):\n%s", d)
				}
			}
			if d := cmp.Diff(tc.volumes, volumes(got.pod)); d != "" {
				t.Errorf("volumes (-want +got):\n%s", d)
			}
			if w := strings.Join(got.warnings, "\n"); w != tc.warning {
				t.Errorf("warnings %q, want %q", w, tc.warning)
			}
			if again := send(t, New(""), got.raw); again.ops > 0 {
				t.Errorf("on its own result it wants %d operations: %s", again.ops, again.raw)
			}
		})
	}
	if c := send(t, New(""), podOf("bob", `"containers":[{"name":"sidecar"},{"name":"notebook"}]`)).pod.Spec.Containers[1]; len(c.Env) == 0 {
		t.Error("the container called notebook, second of two, gets nothing")
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profiles.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestUserWinsOverGroupsInTheirOrderOverDefaults(t *testing.T) {
	h := New(write(t, `
defaults: {env: [{name: A, value: default}, {name: B, value: default}, {name: C, value: default}, {name: D, value: default}, {name: E, value: default}], volumeMounts: [{name: v, mountPath: /m}]}
groups:
  one: {env: [{name: B, value: one}, {name: C, value: one}, {name: D, value: one}], volumes: [{name: v, emptyDir: {}}]}
  two: {env: [{name: C, value: two}, {name: F, value: two}], volumes: [{name: v, configMap: {name: two}}], volumeMounts: [{name: v, mountPath: /m/, subPath: two}]}
users:
  u: {groups: [one, two], env: [{name: D, value: "user $(F)"}]}
`))
	got := send(t, h, podOf("u", `"containers":[{"name":"notebook","env":[{"name":"E","value":"pod"}]}]`))
	want := []string{"E=pod", "A=default", "B=one", "C=one", "D=user $(F)", "F=two", "/m/<-v/two"}
	if d := cmp.Diff(want, summary(got.pod.Spec.Containers[0])); d != "" {
		t.Errorf("container (-want +got):\n%s", d)
	}
	if len(got.pod.Spec.Volumes) != 1 || got.pod.Spec.Volumes[0].EmptyDir == nil {
		t.Errorf("volumes %+v", got.pod.Spec.Volumes)
	}
}

func TestWhatCannotBeDecidedIsSaid(t *testing.T) {
	const notebook = `"containers":[{"name":"notebook"}]`
	for name, tc := range map[string]struct{ profiles, user, refusal, text string }{
		"an unknown user is refused":    {"unknownUsers: refuse", "mallory", `user "mallory" has no profile: ask the operator to add it`, ""},
		"an empty name is refused":      {"unknownUsers: defaults", "", "annotation hub.jupyter.org/username is empty", ""},
		"an unknown policy":             {"unknownUsers: hunter2", "alice", "", "unknownUsers: want defaults or refuse"},
		"an unknown key":                {"users: {alice: {volumeMount: [hunter2]}}", "bob", "", "users.alice.volumeMount: unknown field: allowed are"},
		"an unknown key deep down":      {"defaults: {volumes: [{name: v, emptyDirr: {}}]}", "bob", "", "defaults.volumes[0].emptyDirr: unknown field"},
		"a key in another case":         {"Users: {}", "bob", "", "line 1: Users: unknown field"},
		"a key twice":                   {"users: {}\nusers: {}", "bob", "", "line 2: users: is there twice, first in line 1: remove one"},
		"no YAML":                       {"users: [", "bob", "", "yaml: line 1:"},
		"another type":                  {"users: hunter2", "bob", "", "line 1: users: want keys and values"},
		"an empty file":                 {"\n", "bob", "", "is empty"},
		"an unknown group":              {"users: {alice: {groups: [art]}}", "bob", "", `users.alice.groups[0]: there is no group "art": add it`},
		"a variable twice":              {"groups: {g: {env: [{name: A}, {name: A}]}}", "bob", "", `groups.g.env[1]: "A" is there twice`},
		"a mount twice":                 {"defaults: {initContainers: {volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /a/}]}}", "bob", "", `defaults.initContainers.volumeMounts[1]: "/a" is there twice`},
		"a volume without a name":       {"defaults: {volumes: [{emptyDir: {}}]}", "bob", "", "defaults.volumes[0]: has no name: add it"},
		"a misspelt placeholder":        {`defaults: {volumeMounts: [{name: v, mountPath: /v, subPath: "u/{user}"}]}`, "bob", "", "subPath: the only placeholders are {username}"},
		"a mount of a volume not there": {"defaults: {volumeMounts: [{name: v, mountPath: /v}]}", "bob", "", `mounting "/v": neither the user's profiles nor the Pod have a volume "v"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, New(write(t, tc.profiles)), podOf(tc.user, notebook))
			if !strings.HasPrefix(got.refusal, tc.refusal) || (tc.refusal == "") != (got.refusal == "") {
				t.Errorf("refusal %q, want %q", got.refusal, tc.refusal)
			}
			if !strings.Contains(got.text, tc.text) || (tc.text == "") != (got.text == "") || strings.Count(got.text, "\n") > 1 {
				t.Errorf("error %q, want %q", got.text, tc.text)
			}
			if strings.Contains(got.text, "hunter2") {
				t.Errorf("the error quotes a value: %q", got.text)
			}
		})
	}
	t.Run("a file that is not there", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "none.yaml")
		if got := send(t, New(file), podOf("alice", notebook)); !strings.Contains(got.text, "reading profiles: open "+file) {
			t.Errorf("error %q", got.text)
		}
	})
	t.Run("which does not matter to a Pod without a user", func(t *testing.T) {
		if got := send(t, New("/none"), `{"kind":"Pod","spec":{`+notebook+`}}`); got.status != http.StatusOK || got.ops > 0 {
			t.Errorf("status %d, %d operations", got.status, got.ops)
		}
	})
}

func TestTheFileIsReadAgainWhenItChanges(t *testing.T) {
	file := write(t, "defaults: {env: [{name: V, value: '1'}]}")
	h := New(file)
	pod := podOf("bob", `"containers":[{"name":"notebook"}]`)
	for _, step := range []struct{ text, want string }{
		{"defaults: {env: [{name: V, value: '2'}]}", `"value":"2"`}, // the same size within a tick of the clock
		{"defaults: {env: [{name: V, value: '3'}]}", `"value":"3"`},
		{"defaults: {", `"value":"3"`}, // the last good file stays in force
		{"defaults: {env: [{name: V, value: '4'}]}", `"value":"4"`},
	} {
		if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				w := httptest.NewRecorder()
				h(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pod)))
				if !strings.Contains(w.Body.String(), step.want) {
					t.Errorf("%q: %d %s", step.text, w.Code, w.Body)
				}
			})
		}
		wg.Wait()
	}
}

func TestTheEnvironmentNamesTheFile(t *testing.T) {
	t.Setenv("AMP_JUPYTERHUB_PROFILES", write(t, "unknownUsers: refuse"))
	if got := send(t, handler(fromEnvironment().profiles), podOf("alice", "")); got.refusal == "" {
		t.Errorf("answer %+v", got)
	}
	t.Setenv("AMP_JUPYTERHUB_PROFILES", "")
	if got := send(t, handler(fromEnvironment().profiles), podOf("alice", `"containers":[{"name":"notebook"}]`)); got.ops == 0 {
		t.Errorf("without a file, answer %+v", got)
	}
}
