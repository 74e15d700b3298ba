package jupyterhub

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const everything = `
slugs: kubespawner7
users: {alice: {}}
groupsFrom: {annotation: uni.example/groups}
groups:
  gpu:
    members: ["*@uni.example"]
    nodeSelector: {pool: gpu}
    tolerations: [{key: gpu, operator: Exists}]
defaults:
  override: [image, resources, securityContext, env]
  image: quay.io/uni/notebook:1
  resources: {limits: {memory: 4Gi}}
  securityContext: {fsGroup: 1000}
  labels: {uni.example/team: a}
  annotations: {uni.example/note: b}
  priorityClassName: users
  imagePullSecrets: [{name: pull}]
  env: [{name: LANG, value: de_DE.UTF-8}]
  envFrom: [{configMapRef: {name: common}}]
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
  volumes: [{name: home, persistentVolumeClaim: {claimName: "home-{user_server}"}}]
  volumeMounts: [{name: home, mountPath: /data}]
  extraContainers: [{name: sync, image: "quay.io/uni/sync:1"}]
  extraInitContainers: [{name: prepare, image: "quay.io/uni/prepare:1"}]
`

func TestRecordedPodsGetEverythingAProfileHolds(t *testing.T) {
	for file, claim := range map[string]string{
		"jupyterhub-user.pod.json":           "home-alice",
		"kubespawner7-named-server.pod.json": "home-alice--gpu",
		"kubespawner7-escaped-user.pod.json": "home-jos-uni-example---1e8e02b9",
	} {
		t.Run(file, func(t *testing.T) {
			h := New(write(t, everything))
			got := send(t, h, recorded(t, file))
			if got.text != "" || got.pod == nil {
				t.Fatal(got.text)
			}
			s, c := got.pod.Spec, got.pod.Spec.Containers[0]
			last := s.Volumes[len(s.Volumes)-1]
			gpu := s.NodeSelector["pool"] == "gpu"
			if c.Image != "quay.io/uni/notebook:1" || c.Resources.Limits.Memory().String() != "4Gi" || *s.SecurityContext.FSGroup != 1000 ||
				s.PriorityClassName != "users" || s.Priority != nil || s.Affinity == nil || len(c.EnvFrom) != 1 || len(s.ImagePullSecrets) != 1 ||
				got.pod.Labels["uni.example/team"] != "a" || got.pod.Annotations["uni.example/note"] != "b" || s.Containers[1].Name != "sync" ||
				s.InitContainers[0].Name != "prepare" || last.PersistentVolumeClaim.ClaimName != claim || gpu != strings.Contains(file, "escaped") {
				t.Errorf("got %s", got.raw)
			}
			if again := send(t, h, got.raw); again.ops > 0 || len(again.warnings) > 0 {
				t.Errorf("asked twice it wants %d operations, warns %q", again.ops, again.warnings)
			}
		})
	}
}

func TestWhatThePodKeepsIsSaid(t *testing.T) {
	got := send(t, New(write(t, "{unknownUsers: defaults, users: {u: {image: b, env: [{name: A, value: x}]}}}")), podOf("u", `"containers":[{"name":"notebook","image":"a","env":[{"name":"A","value":"y"}]}]`))
	if w := strings.Join(got.warnings, ""); !strings.HasPrefix(w, "the Pod keeps its own image, env A: to replace it") || got.ops > 0 {
		t.Errorf("%d operations, warnings %q", got.ops, w)
	}
}

func TestCheckNamesEveryMistakeWithItsLine(t *testing.T) {
	file := write(t, "defaults:\n  env:\n  - {name: A, value: true}\n  volumeMounts:\n  - {name: v, mountPath: /v, subPath: \"{username}-{servername}\"}\n  imagge: x\n")
	var out bytes.Buffer
	if code := Check(file, nil, &out, &out); code != 1 || !strings.Contains(out.String(), "line 3: defaults.env[0].value: want a text: put the value in quotes") || !strings.Contains(out.String(), "line 6: defaults.imagge: unknown field") {
		t.Errorf("%d %s", code, &out)
	}
	for subPath, good := range map[string]bool{"{username}-{servername}": false, "{servername}": false, "{username}/{servername}": true, "{user_server}": true} {
		out.Reset()
		if code := Check(write(t, "defaults: {volumeMounts: [{name: v, mountPath: /v, subPath: \""+subPath+"\"}]}"), nil, &out, &out); (code == 0) != good {
			t.Errorf("%s: %d %s", subPath, code, &out)
		}
	}
	if code := Check(file+".none", nil, &out, &out); code != 2 {
		t.Errorf("a file that is not there: %d", code)
	}
}

func TestValidIsZeroWhileTheLastGoodFileIsInForce(t *testing.T) {
	file := write(t, "unknownUsers: refuse")
	s := &source{file: file}
	for _, step := range []struct {
		text  string
		valid float64
	}{{"unknownUsers: refuse", 1}, {"unknownUsers: [", 0}, {"unknownUsers: defaults", 1}} {
		if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.valid(); got != step.valid {
			t.Errorf("%q: valid is %v", step.text, got)
		}
		if _, err := s.profiles(); err != nil {
			t.Error(err)
		}
	}
}
