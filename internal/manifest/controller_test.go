package manifest_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/manifest"
)

// places returns what is at places of the Pod of one object: JSON, empty for nothing. The parts of a place are divided by
// spaces, because keys of labels hold slashes and dots.
func places(t *testing.T, yaml string) func(place string) string {
	t.Helper()
	m := &manifest.Manifests{}
	if err := m.Add("f", []byte(yaml), "team-a", false); err != nil {
		t.Fatal(err)
	}
	if len(m.Pods) != 1 {
		t.Fatalf("%d Pods", len(m.Pods))
	}
	var pod any
	if err := json.Unmarshal(m.Pods[0].JSON, &pod); err != nil {
		t.Fatal(err)
	}
	return func(place string) string {
		at := pod
		for _, part := range strings.Fields(place) {
			switch is := at.(type) {
			case map[string]any:
				at = is[part]
			case []any:
				at = nil
				if i, err := strconv.Atoi(part); err == nil && i < len(is) {
					at = is[i]
				}
			default:
				at = nil
			}
		}
		if at == nil {
			return ""
		}
		text, _ := json.Marshal(at) // it came from JSON
		return string(text)
	}
}

// A Pod has what its controller of Kubernetes 1.36 makes of the object's own spec.
func TestOfTheObjectsOwnSpec(t *testing.T) {
	const template = `template: {metadata: {labels: {app: web}, finalizers: [example.com/own], name: x, namespace: x, ownerReferences: [{kind: X}]},
  spec: {hostname: own, subdomain: own, initContainers: [{name: i, image: i}],
  containers: [{name: a, image: a}, {name: b, image: b, env: [{name: JOB_COMPLETION_INDEX, value: mine}]}],
  volumes: [{name: data, emptyDir: {}}, {name: tmp, emptyDir: {}}]}}`
	const index = `{"name":"JOB_COMPLETION_INDEX","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.labels['batch.kubernetes.io/job-completion-index']"}}}`
	const completion = "batch.kubernetes.io/job-completion-index"
	long := strings.Repeat("n", 60)
	for name, test := range map[string]struct {
		kind, name, spec string
		want             map[string]string // by place
	}{
		"a StatefulSet with claims: they come first, and replace volumes of their name": {"apps/v1 StatefulSet", "db", `serviceName: dbs, volumeClaimTemplates: [{metadata: {name: logs}}, {metadata: {name: data}}], ` + template, map[string]string{
			"spec volumes":  `[{"name":"logs","persistentVolumeClaim":{"claimName":"logs-db-0"}},{"name":"data","persistentVolumeClaim":{"claimName":"data-db-0"}},{"emptyDir":{},"name":"tmp"}]`,
			"spec hostname": `"db-0"`, "spec subdomain": `"dbs"`, "metadata name": `"db-0"`, "metadata generateName": `"db-"`, "metadata finalizers": `["example.com/own"]`,
		}},
		"a StatefulSet that counts from three": {"apps/v1 StatefulSet", "db", `ordinals: {start: 3}, volumeClaimTemplates: [{metadata: {name: data}}], ` + template, map[string]string{
			"metadata name": `"db-3"`, "spec hostname": `"db-3"`, "metadata labels apps.kubernetes.io/pod-index": `"3"`, "metadata labels statefulset.kubernetes.io/pod-name": `"db-3"`,
			"spec volumes 0 persistentVolumeClaim claimName": `"data-db-3"`,
		}},
		"a StatefulSet without a Service and claims": {"apps/v1 StatefulSet", "db", template, map[string]string{
			"spec subdomain": "", "spec volumes 0": `{"emptyDir":{},"name":"data"}`, "spec volumes 2": "",
		}},
		"a Job": {"batch/v1 Job", "render", template, map[string]string{
			"metadata annotations": "", "metadata finalizers": `["example.com/own","batch.kubernetes.io/job-tracking"]`, "metadata labels job-name": `"render"`, "spec hostname": `"own"`,
			"metadata generateName": `"render-"`, "metadata labels " + completion: "", "spec containers 0 env": "", "metadata name": "", "metadata ownerReferences 1": "",
		}},
		"an Indexed Job": {"batch/v1 Job", "render", `completionMode: Indexed, completions: 2, ` + template, map[string]string{
			"metadata annotations": `{"` + completion + `":"0"}`, "metadata labels " + completion: `"0"`, "metadata generateName": `"render-0-"`,
			"spec hostname": `"render-0"`, "spec subdomain": `"own"`, "spec containers 0 env": "[" + index + "]", "spec initContainers 0 env": "[" + index + "]",
			"spec containers 1 env": `[{"name":"JOB_COMPLETION_INDEX","value":"mine"}]`,
		}},
		"an Indexed Job that counts the failures of each index": {"batch/v1 Job", "render", `completionMode: Indexed, completions: 2, backoffLimitPerIndex: 1, ` + template, map[string]string{
			"metadata annotations batch.kubernetes.io/job-index-failure-count": `"0"`,
		}},
		"an Indexed Job with a long name": {"batch/v1 Job", long, `completionMode: Indexed, completions: 2, ` + template, map[string]string{
			"metadata generateName": `"` + long[:55] + `-0-"`, "spec hostname": `"` + long + `-0"`,
		}},
		"a Job with a selector of its own": {"batch/v1 Job", "render", `manualSelector: true, ` + template, map[string]string{"metadata labels": `{"app":"web"}`}},
		"a CronJob of Indexed Jobs": {"batch/v1 CronJob", "render", `jobTemplate: {spec: {completionMode: Indexed, completions: 2, ` + template + `}}`, map[string]string{
			"metadata annotations " + completion: `"0"`, "metadata generateName": `"render-29000000-0-"`, "spec hostname": `"render-29000000-0"`,
		}},
		"a DaemonSet that already tolerates, for a time": {"apps/v1 DaemonSet", "agent", `template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}],
			tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 9}]}}`, map[string]string{
			"spec tolerations 0": `{"effect":"NoExecute","key":"node.kubernetes.io/unreachable","operator":"Exists"}`,
			"spec tolerations 1": `{"effect":"NoExecute","key":"node.kubernetes.io/not-ready","operator":"Exists"}`, "spec tolerations 6": "",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			version, kind, _ := strings.Cut(test.kind, " ")
			got := places(t, "{apiVersion: "+version+", kind: "+kind+", metadata: {name: "+test.name+"}, spec: {"+test.spec+"}}")
			for place, want := range test.want {
				if is := got(place); is != want {
					t.Errorf("%s:\n%s, want\n%s", place, is, want)
				}
			}
		})
	}
}

// A Pod has what the API server of Kubernetes 1.36 adds.
func TestDefaults(t *testing.T) {
	const ready, unreachable = `{"effect":"NoExecute","key":"node.kubernetes.io/not-ready","operator":"Exists","tolerationSeconds":300}`,
		`{"effect":"NoExecute","key":"node.kubernetes.io/unreachable","operator":"Exists","tolerationSeconds":300}`
	container := func(members string) string { return `containers: [{name: a, image: "a:1", ` + members + `}]` }
	volume := func(members string) string { return `volumes: [{name: v, ` + members + `}]` }
	for name, test := range map[string]struct{ spec, place, want string }{
		"no toleration":                       {"hostIPC: false", "spec tolerations", "[" + ready + "," + unreachable + "]"},
		"a toleration of all":                 {"tolerations: [{operator: Exists}]", "spec tolerations 1", ""},
		"a toleration of all of another kind": {"tolerations: [{operator: Exists, effect: NoSchedule}]", "spec tolerations", `[{"effect":"NoSchedule","operator":"Exists"},` + ready + "," + unreachable + "]"},
		"a toleration of all of that kind":    {"tolerations: [{operator: Exists, effect: NoExecute}]", "spec tolerations 1", ""},
		"a toleration of one of them":         {"tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: ''}]", "spec tolerations 1", unreachable},
		"an image that names a digest only":   {`containers: [{name: a, image: "a@sha256:0"}]`, "spec containers 0 imagePullPolicy", `"IfNotPresent"`},
		"an image with latest and a digest":   {`containers: [{name: a, image: "a:latest@sha256:0"}]`, "spec containers 0 imagePullPolicy", `"Always"`},
		"a registry with a port":              {`containers: [{name: a, image: "r:5000/a"}]`, "spec containers 0 imagePullPolicy", `"Always"`},
		"a probe by gRPC":                     {container("livenessProbe: {grpc: {port: 1}}"), "spec containers 0 livenessProbe grpc", `{"port":1,"service":""}`},
		"a probe by HTTP":                     {container("startupProbe: {httpGet: {port: 1}}"), "spec containers 0 startupProbe httpGet", `{"path":"/","port":1,"scheme":"HTTP"}`},
		"a call after the start":              {container("lifecycle: {postStart: {httpGet: {port: 1}}}"), "spec containers 0 lifecycle postStart httpGet", `{"path":"/","port":1,"scheme":"HTTP"}`},
		"a call before the end":               {container("lifecycle: {preStop: {httpGet: {port: 1, path: /x}}}"), "spec containers 0 lifecycle preStop httpGet", `{"path":"/x","port":1,"scheme":"HTTP"}`},
		"a variable of a file":                {container("env: [{name: A, valueFrom: {fileKeyRef: {key: k}}}]"), "spec containers 0 env 0 valueFrom fileKeyRef", `{"key":"k","optional":false}`},
		"a port on the node's network":        {"hostNetwork: true, " + container("ports: [{containerPort: 80}]"), "spec containers 0 ports 0", `{"containerPort":80,"hostPort":80,"protocol":"TCP"}`},
		"a volume that is only a name":        {"volumes: [{name: v}]", "spec volumes 0 emptyDir", "{}"},
		"fields of the Pod as files":          {volume("downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.name}}]}"), "spec volumes 0 downwardAPI", `{"defaultMode":420,"items":[{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.name"},"path":"p"}]}`},
		"the same, among others": {volume("projected: {sources: [{downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.name}}]}}, {serviceAccountToken: {path: t}}]}"), "spec volumes 0 projected",
			`{"defaultMode":420,"sources":[{"downwardAPI":{"items":[{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.name"},"path":"p"}]}},{"serviceAccountToken":{"expirationSeconds":3600,"path":"t"}}]}`},
		"an image as a volume":       {volume("image: {reference: a}"), "spec volumes 0 image pullPolicy", `"Always"`},
		"a claim of the Pod's own":   {volume("ephemeral: {volumeClaimTemplate: {spec: {}}}"), "spec volumes 0 ephemeral volumeClaimTemplate spec", `{"volumeMode":"Filesystem"}`},
		"a disk by iSCSI":            {volume("iscsi: {lun: 0}"), "spec volumes 0 iscsi", `{"iscsiInterface":"default","lun":0}`},
		"the old name of an account": {"serviceAccountName: bot", "spec serviceAccount", `"bot"`},
		"by the old name only":       {"serviceAccount: bot", "spec serviceAccountName", `"bot"`},
	} {
		t.Run(name, func(t *testing.T) {
			if is := places(t, "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {"+test.spec+"}}")(test.place); is != test.want {
				t.Errorf("%s, want\n%s", is, test.want)
			}
		})
	}
}
