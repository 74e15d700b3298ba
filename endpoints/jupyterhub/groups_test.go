package jupyterhub

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestGroupsFromAPod sends the Pods that KubeSpawner 7 makes, with a group written as a hub's hook would write it.
func TestGroupsFromAPod(t *testing.T) {
	const groups = "{unknownUsers: defaults, groups: {a: {env: [{name: G, value: a}]}, b: {env: [{name: G, value: b}]}}, groupsFrom: "
	const annotation, label = groups + "{annotation: uni.example/groups}}", groups + "{label: uni.example/group}}"
	for name, tc := range map[string]struct {
		profiles    string
		annotations map[string]string
		labels      map[string]string
		want        string // the value of G
		warning     string
	}{
		"an annotation with one group":               {annotation, map[string]string{"uni.example/groups": "b"}, nil, "b", ""},
		"an annotation with two: the first wins":     {annotation, map[string]string{"uni.example/groups": "b,a"}, nil, "b", ""},
		"spaces and empty names do not matter":       {annotation, map[string]string{"uni.example/groups": " , a ,"}, nil, "a", ""},
		"groups that the file does not have":         {annotation, map[string]string{"uni.example/groups": "staff,a"}, nil, "a", ""},
		"no annotation":                              {annotation, nil, nil, "", "has no profile: the defaults apply"},
		"an empty annotation":                        {annotation, map[string]string{"uni.example/groups": ""}, nil, "", "has no profile: the defaults apply"},
		"a list in JSON":                             {annotation, map[string]string{"uni.example/groups": `["a"]`}, nil, "", "annotation uni.example/groups is not a list of groups with commas between, so it is ignored: write it as a,b"},
		"a label":                                    {label, nil, map[string]string{"uni.example/group": "a"}, "a", ""},
		"no label":                                   {label, nil, nil, "", "has no profile: the defaults apply"},
		"an empty label":                             {label, nil, map[string]string{"uni.example/group": ""}, "", "has no profile: the defaults apply"},
		"the annotation, where the file says label":  {label, map[string]string{"uni.example/group": "a"}, nil, "", "has no profile"},
		"either, where the file has no groupsFrom":   {groups + "{}}", map[string]string{"uni.example/groups": "a"}, map[string]string{"uni.example/group": "a"}, "", "has no profile"},
		"a name with a comma in a label is no group": {label, nil, map[string]string{"uni.example/group": "a,b"}, "", "has no profile"},
	} {
		for _, file := range []string{"kubespawner7-named-server.pod.json", "kubespawner7-escaped-user.pod.json"} {
			t.Run(name+"/"+file, func(t *testing.T) {
				var pod corev1.Pod
				if err := json.Unmarshal([]byte(recorded(t, file)), &pod); err != nil {
					t.Fatal(err)
				}
				for k, v := range tc.annotations {
					pod.Annotations[k] = v
				}
				for k, v := range tc.labels {
					pod.Labels[k] = v
				}
				raw, err := json.Marshal(pod)
				if err != nil {
					t.Fatal(err)
				}
				got := send(t, New(write(t, tc.profiles)), string(raw))
				value := ""
				for _, e := range got.pod.Spec.Containers[0].Env {
					if e.Name == "G" {
						value = e.Value
					}
				}
				warnings := strings.Join(got.warnings, "\n")
				if value != tc.want || !strings.Contains(warnings, tc.warning) || (tc.warning == "") != (warnings == "") {
					t.Errorf("G is %q, want %q; warnings %q, want %q", value, tc.want, warnings, tc.warning)
				}
			})
		}
	}
}

// TestWhoIsInAGroup: each profile comes once, the weakest first, and says why it is there.
func TestWhoIsInAGroup(t *testing.T) {
	p, err := parse([]byte(`{groups: {a: {members: ["*@x"]}, b: {members: ["*@x", u]}, c: {}}, users: {"*@x": {groups: [b]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	layers, known := p.layers(asked{"u@x", []string{"c", "none", "b"}})
	var got []string
	for _, l := range layers {
		got = append(got, l.from+" "+l.why)
	}
	want := "defaults |groups.c the Pod names it|groups.a its member *@x|groups.b users.*@x names it|users.*@x "
	if s := strings.Join(got, "|"); s != want || !known {
		t.Errorf("%v %s, want %s", known, s, want)
	}
	if layers, known := p.layers(asked{user: "v"}); len(layers) != 1 || known {
		t.Errorf("someone else: %v %+v", known, layers)
	}
}
