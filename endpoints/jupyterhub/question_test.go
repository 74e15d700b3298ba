package jupyterhub

import (
	"bytes"
	"strings"
	"testing"
)

func TestCheckSaysWhatAPodWouldGet(t *testing.T) {
	const file = `
groups:
  gpu: {members: ["*@uni.example"], nodeSelector: {pool: gpu}}
  art: {labels: {uni.example/kind: art}}
groupsFrom: {annotation: uni.example/groups}
users:
  alice:
    image: quay.io/uni/notebook:1
    env: [{name: TOKEN, value: hunter2}, {name: FROM, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    volumes: [{name: home, persistentVolumeClaim: {claimName: "home-{user_server}"}}]
    volumeMounts: [{name: home, mountPath: /data, subPath: "{username}"}]
    extraContainers: [{name: sync, image: s, env: [{name: KEY, value: hunter2}]}]
  bob: {override: [env, image], image: "i:2", env: [{name: JUPYTERHUB_USER, value: hunter2}]}
  eve: {volumeMounts: [{name: none, mountPath: /x}]}
  home: {volumes: [{name: h, emptyDir: {}}], volumeMounts: [{name: h, mountPath: /home/jovyan}]}
`
	recordedPod := func(file string) *Question { return &Question{Pod: []byte(recorded(t, file))} }
	for name, tc := range map[string]struct {
		of    *Question
		code  int
		says  []string
		never []string
	}{
		"a user's entry, each operation in words": {&Question{User: "alice"}, 0, []string{
			"  defaults\n  users.alice\n", `{username} is "alice", {servername} "", {user_server} "alice"`,
			"- adds environment variable TOKEN to container notebook\n   {\"name\":\"TOKEN\",\"value\":\"[redacted]\"}\n",
			`"fieldPath":"metadata.name"`, "- adds container sync\n", `"name":"KEY","value":"[redacted]"`,
			"- adds mount of volume home at /data to container notebook\n", `"subPath":"alice"`, `"claimName":"home-alice"`,
			"warning: the Pod keeps its own image: to replace it, name the field under override",
		}, []string{"hunter2"}},
		"values, if they are asked for":       {&Question{User: "alice", Values: true}, 0, []string{`"value":"hunter2"`}, []string{"redacted"}},
		"a named server":                      {&Question{User: "alice", Server: "gpu"}, 0, []string{`"claimName":"home-alice--gpu"`}, nil},
		"what a profile overrides":            {&Question{User: "bob"}, 0, []string{`changes image of container notebook from "quay.io/jupyterhub/k8s-singleuser-sample" to "i:2"`, "JUPYTERHUB_USER"}, []string{"hunter2", "warning"}},
		"a pattern among a group's members":   {&Question{User: "josé@uni.example"}, 0, []string{"  groups.gpu (its member *@uni.example)\n", "- sets spec.nodeSelector\n   {\"pool\":\"gpu\"}"}, nil},
		"a group that the Pod names":          {&Question{User: "carol", Groups: []string{"art", "staff"}}, 0, []string{"  groups.art (the Pod names it)\n", "the Pod names the group staff, which the file does not have\n", `sets label uni.example/kind to "art"`}, []string{"warning"}},
		"nothing is for the user, and why":    {&Question{User: "carol"}, 0, []string{"weakest first:\n  defaults\n{username}", `warning: user "carol" has no profile: the defaults apply`, "no change: see the warning\n"}, nil},
		"the hub's home is where it was":      {&Question{User: "home"}, 0, []string{"warning: the Pod keeps its own volumeMounts /home/jovyan"}, nil},
		"what amp would not get an answer to": {&Question{User: "eve"}, 1, []string{`not decided: mounting "/x": neither the user's profiles nor the Pod have a volume "none"`}, nil},
		"KubeSpawner 7's Pod":                 {recordedPod("kubespawner7-named-server.pod.json"), 0, []string{`"claimName":"home-alice--gpu"`}, []string{"hunter2"}},
		"KubeSpawner 7's Pod of another":      {recordedPod("kubespawner7-escaped-user.pod.json"), 0, []string{"user josé@uni.example has", "groups.gpu"}, nil},
		"a Pod that is no user's, and why":    {recordedPod("worker-generate-name.pod.json"), 0, []string{"no change: the Pod has no annotation hub.jupyter.org/username, so it is not a user's\n"}, nil},
		"a Pod in YAML, with an empty name":   {&Question{Pod: []byte("kind: Pod\nmetadata: {annotations: {hub.jupyter.org/username: ''}}\nspec: {}\n")}, 1, []string{"refused: annotation hub.jupyter.org/username is empty"}, nil},
		"a file that is another object's":     {&Question{Pod: []byte("kind: Deployment\nspec: {}\n")}, 2, []string{`endpoints: reading the Pod: want one object of kind Pod, with a spec; the file has kind "Deployment"`}, nil},
		"a file that is not YAML":             {&Question{Pod: []byte("{")}, 2, []string{"endpoints: reading the Pod: "}, nil},
		"a Pod whose field has another type":  {&Question{Pod: []byte("{kind: Pod, spec: {containers: 1}}")}, 2, []string{"endpoints: reading the Pod: "}, nil},
		"a Pod that has what it would get":    {&Question{Pod: []byte("{kind: Pod, metadata: {annotations: {hub.jupyter.org/username: x, uni.example/groups: art}, labels: {uni.example/kind: art}}, spec: {containers: []}}")}, 0, []string{"no change: the profiles hold nothing for this user that the Pod does not have\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			code := Check(write(t, file), tc.of, &out, &out)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			for _, text := range tc.says {
				if !strings.Contains(out.String(), text) {
					t.Errorf("it does not say %q", text)
				}
			}
			for _, text := range tc.never {
				if strings.Contains(out.String(), text) {
					t.Errorf("it says %q", text)
				}
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

func TestCheckWithGroupsNeedsAPlaceForThem(t *testing.T) {
	for profiles, want := range map[string]string{
		"users: {}":                     "has no groupsFrom, so the endpoint takes no group from a Pod",
		"groupsFrom: {label: x/group}":  "groupsFrom names the label x/group, which holds one group: give one --group",
		"groupsFrom: {annotation: x/g}": "the Pod names the group b, which the file does not have",
	} {
		var out bytes.Buffer
		code := Check(write(t, profiles), &Question{User: "u", Groups: []string{"a", "b"}}, &out, &out)
		if !strings.Contains(out.String(), want) || (code == 0) != strings.HasPrefix(want, "the Pod") {
			t.Errorf("%s: exit code %d, %s", profiles, code, &out)
		}
	}
}

// TestCheckOfAUserIsRefusedAsThePodWouldBe, and a file with a mistake comes before all.
func TestCheckOfAUserIsRefusedAsThePodWouldBe(t *testing.T) {
	for profiles, want := range map[string]string{
		"unknownUsers: refuse":                        `refused: user "carol" has no profile: ask the operator`,
		"{unknownUsers: refuse, users: {carol: {x}}}": "line 1: users.carol.x: unknown field",
	} {
		var out bytes.Buffer
		if code := Check(write(t, profiles), &Question{User: "carol"}, &out, &out); code != 1 || !strings.Contains(out.String(), want) {
			t.Errorf("exit code %d, %s", code, &out)
		}
	}
}
