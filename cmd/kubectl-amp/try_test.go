package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestTry(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); bytes.Contains(b, []byte(`"team":"red"`)) {
			_, _ = io.WriteString(w, `[]`)
			return
		}
		_, _ = io.WriteString(w, `{"patch": [{"op":"add","path":"/metadata/labels/team","value":"red"}], "warnings": ["a new team, by `+r.Header.Get("Ce-Authid")+`"]}`)
	}))
	t.Cleanup(good.Close)
	forever := httptest.NewServer(answers(200, "application/json", `[{"op":"add","path":"/spec/tolerations/-","value":{"key":"x","operator":"Exists"}}]`))
	t.Cleanup(forever.Close)
	denies := httptest.NewServer(answers(200, "application/json", `{"allowed":false,"status":{"message":"no GPUs left"}}`))
	t.Cleanup(denies.Close)
	broken := httptest.NewServer(answers(500, "text/plain", "no database"))
	t.Cleanup(broken.Close)
	private := httptest.NewTLSServer(answers(200, "application/json", `[]`))
	t.Cleanup(private.Close)
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Close()

	dir := t.TempDir()
	replace := strings.NewReplacer("OUT", write(t, dir, "out.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {amp.txn2.com/enabled: 'false'}}, spec: {containers: [{name: a, image: b}]}}"),
		"POD", write(t, dir, "pod.yaml", aPod), "SERVICE", write(t, dir, "service.yaml", "{apiVersion: v1, kind: Service, metadata: {name: web}}"),
		"DEPLOYMENT", write(t, dir, "deployment.yaml", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}"),
		"BROKEN", broken.URL, "PRIVATE", private.URL, "CA", write(t, dir, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw}))),
		"GOOD", good.URL, "FOREVER", forever.URL, "DENIES", denies.URL, "DOWN", "http://"+down.Addr().String())
	for args, test := range map[string]struct {
		code      int
		out, errs string // parts
	}{
		"--help":                                                    {0, "exit codes:", ""},
		"-f POD --endpoint GOOD":                                    {0, "+    team: red", "127.0.0.1 is loopback: amp in a cluster does not call it"},
		"-f POD --endpoint GOOD -o words":                           {0, "label team", ""},
		"-f POD --endpoint GOOD --as jane":                          {0, "Warning: a new team, by jane", ""},
		"-f DEPLOYMENT --endpoint GOOD":                             {0, "by system:serviceaccount:kube-system:replicaset-controller", ""},
		"-f POD --endpoint GOOD -o yaml":                            {0, "    team: red", ""},
		"-f POD --endpoint GOOD -o patch":                           {0, `"path": "/metadata/labels/team"`, ""},
		"-f POD --endpoint GOOD --twice":                            {0, "asked again: no change", ""},
		"-f POD --endpoint GOOD --dry-run":                          {0, "event: none: a dry run has none", ""},
		"-f POD --endpoint GOOD --color always":                     {0, "\x1b[32m+", ""},
		"-f POD --endpoint FOREVER --twice":                         {1, "it is not idempotent", ""},
		"-f POD --endpoint GOOD --endpoint DENIES":                  {1, `Error from server (Forbidden): admission webhook "fail.amp.txn2.com" denied the request: no GPUs left`, ""},
		"-f DEPLOYMENT --endpoint DENIES":                           {1, `FailedCreate: Error creating: admission webhook "fail.amp.txn2.com" denied the request: no GPUs left`, ""},
		"-f POD --endpoint DENIES --validate":                       {1, `admission webhook "validate.fail.amp.txn2.com" denied`, ""},
		"-f POD --endpoint DOWN":                                    {2, "connection refused: is the endpoint running, on that port?", ""},
		"-f POD --endpoint DOWN --failure-policy Ignore":            {2, "Warning: amp: not mutated: connection refused", ""},
		"-f POD --endpoint BROKEN --failure-policy Ignore -o words": {1, "failedopen", "answered 500"},
		"-f POD --endpoint BROKEN -o words":                         {1, "answered 500", ""},
		"-f POD --endpoint BROKEN --failure-policy Ignore -o yaml":  {1, "kind: Pod", "answered 500"},
		"-f POD --endpoint GOOD -o words --as joe":                  {0, "label team", "Warning: a new team, by joe"},
		"-f POD --endpoint GOOD -o patch --as joe":                  {0, "team", "Warning: a new team, by joe"},
		"-f POD --endpoint FOREVER --twice -o patch":                {1, `"op": "add"`, "it is not idempotent"},
		"-f POD --endpoint FOREVER --twice -o yaml":                 {1, "kind: Pod", "it is not idempotent"},
		"-f POD --endpoint FOREVER --twice -o words":                {1, "it is not idempotent", ""},
		"-f POD --endpoint PRIVATE":                                 {1, "authority that amp does not know", "hint: this command knows the CAs of --ca FILE"},
		"-f POD --endpoint PRIVATE --ca CA":                         {0, "no change", ""},
		"-f POD --endpoint PRIVATE --ca /none":                      {2, "", "kubectl amp try: --ca: "},
		"-f POD --endpoint GOOD --groups a":                         {2, "", "unknown flag: --groups"},
		"-f OUT --endpoint GOOD":                                    {0, "+    team: red", "Pod web: the Pod has the label amp.txn2.com/enabled: \"false\""},
		"-f POD":                                                    {2, "", "name the endpoint"},
		"--endpoint GOOD":                                           {2, "", "name a manifest"},
		"-f POD --endpoint ftp://x":                                 {2, "", "http"},
		"-f /none --endpoint GOOD":                                  {2, "", "no such file"},
		"-f SERVICE --endpoint GOOD":                                {2, "", "Service web: skipped"},
		"-f POD --endpoint GOOD -n other":                           {2, "", "its namespace is team-a, and --namespace says other"},
		"-f POD --endpoint GOOD -o xml":                             {2, "", "allowed are diff, yaml, json, patch and words"},
		"-f POD --endpoint GOOD --color red":                        {2, "", "allowed are auto, always and never"},
		"-f DEPLOYMENT --cluster -n ../../apis/x":                   {2, "", "cannot be the name of a namespace"},
		"-f POD --cluster --kubeconfig /none":                       {2, "", "--cluster: --kubeconfig names a file that does not exist: /none"},
	} {
		t.Run(args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(t.Context(), append([]string{"try", "--timeout", patience}, strings.Fields(replace.Replace(args))...), &out, &errs)
			if code != test.code || !strings.Contains(out.String(), test.out) || !strings.Contains(errs.String(), test.errs) {
				t.Errorf("exit code %d, stdout\n%s\nstderr %s", code, out.String(), errs.String())
			}
		})
	}

	var out, errs bytes.Buffer
	if code := run(t.Context(), strings.Fields(replace.Replace("try -f POD --endpoint GOOD -o json --timeout "+patience)), &out, &errs); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var got struct {
		Results []struct {
			Outcome string
			Ops     []struct{ Path string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Results) != 1 || got.Results[0].Outcome != "mutated" {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestTestUpdates: a case that fails passes after --update, and comments and order stay.
func TestTestUpdates(t *testing.T) {
	server := httptest.NewServer(answers(200, "application/json", `[{"op":"add","path":"/metadata/labels/team","value":"red"}]`))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := write(t, dir, "suite.yaml", `# about teams
endpoint: `+server.URL+`
cases:
  - name: a team # why
    pod: {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}
    expect:
      pod:
        /metadata/labels/team: blue # their colour
      idempotent: true
  - name: nothing yet
    pod: {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}
`)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"test", file, "--timeout", patience}, &out, &errs); code != 2 || !strings.Contains(out.String(), "- want: blue") || !strings.Contains(out.String(), "+ got:  red") ||
		!strings.Contains(out.String(), "nothing is expected") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	junit := dir + "/junit.xml"
	if code := run(t.Context(), []string{"test", file, "--update", "--junit", junit, "--timeout", patience}, &out, &errs); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"test", file, "--junit", dir + "/none/junit.xml", "--timeout", patience}, &out, &errs); code != 2 || !strings.Contains(out.String(), "2 passed") {
		t.Errorf("a report that cannot be written: exit code %d\n%s%s", code, out.String(), errs.String())
	}
	updated, _ := os.ReadFile(file)
	for _, want := range []string{"# about teams", "# why", "/metadata/labels/team: red # their colour", "idempotent: true", "path: /metadata/labels"} {
		if !strings.Contains(string(updated), want) {
			t.Errorf("no %q in\n%s", want, updated)
		}
	}
	if xml, err := os.ReadFile(junit); err != nil || !strings.Contains(string(xml), `tests="2" failures="0" errors="0"`) {
		t.Errorf("%v: %s", err, xml)
	}
}

// TestTestNamesWhatIsWrong: a wrong suite is named by file, line and field.
func TestTestNamesWhatIsWrong(t *testing.T) {
	for content, want := range map[string]string{
		"endpiont: x\ncases: []\n":                      ":1: endpiont: the field is unknown; did you mean endpoint?",
		"cases:\n- name: a\n  expects: {}\n  pod: {}\n": ":3: expects: the field is unknown; did you mean expect?",
		"cases:\n- name: a\n":                           ":2: a case needs either pod",
		"cases:\n- name: a\n  file: none.yaml\n":        "no such file",
		"a: [":                                          "yaml:",
		"":                                              "it holds no suite",
		"cases:\n- name: a\n  pod: {apiVersion: v1, kind: Pod, metadata: {name: x}}\n  expect: {outcome: fine}\n": ":4: outcome \"fine\": allowed are",
		"cases:\n- name: a\n  pod: {apiVersion: v1, kind: Pod, metadata: {name: x}}\n  expect: {patch: 1}\n":      ":4: patch: expected a list",
	} {
		t.Run(want, func(t *testing.T) {
			var out, errs bytes.Buffer
			file := write(t, t.TempDir(), "suite.yaml", content)
			if code := run(t.Context(), []string{"test", file}, &out, &errs); code != 2 || !strings.Contains(errs.String(), want) {
				t.Errorf("exit code %d, %s", code, errs.String())
			}
		})
	}
}

// TestTestNeedsAFile: who has no suite yet is told where to see one.
func TestTestNeedsAFile(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"test", "none.yaml"}, &out, &errs); code != 2 || errs.String() != "kubectl amp test: there is no file or folder none.yaml: --help shows what is in one\n" {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}

// TestTestTakesAFolder: each suite in a folder runs; other manifests there are named, and folders in it do not count.
func TestTestTakesAFolder(t *testing.T) {
	server := httptest.NewServer(answers(200, "application/json", `[]`))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	const suite = "cases: [{name: CASE, file: pod.yaml, expect: {unchanged: true}}]\n"
	write(t, dir, "pod.yaml", aPod)
	write(t, dir, "notes.txt", "not YAML: [")
	write(t, dir, "b.yaml", strings.Replace(suite, "CASE", "one of b", 1))
	write(t, dir, "a.yml", strings.Replace(suite, "CASE", "one of a", 1))
	if err := os.Mkdir(dir+"/more.yaml", 0o700); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"test", dir, "--endpoint", server.URL, "-o", "json", "--timeout", patience}, &out, &errs); code != 0 || errs.String() != dir+"/pod.yaml: skipped, it has no cases\n" {
		t.Errorf("exit code %d, stderr %s", code, errs.String())
	}
	if a, b := strings.Index(out.String(), "one of a"), strings.Index(out.String(), "one of b"); a < 0 || b < a {
		t.Errorf("stdout %s", out.String())
	}
	for content, want := range map[string]string{"a: [": "c.yaml: yaml:", "cases: 1": ":1: a suite needs cases"} {
		errs.Reset()
		write(t, dir, "c.yaml", content)
		if code := run(t.Context(), []string{"test", dir, "--endpoint", server.URL, "--timeout", patience}, &out, &errs); code != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit code %d, stderr %s", content, code, errs.String())
		}
	}
	errs.Reset()
	if code := run(t.Context(), []string{"test", dir + "/more.yaml"}, &out, &errs); code != 2 || !strings.Contains(errs.String(), "the folder has no suite") {
		t.Errorf("exit code %d, stderr %s", code, errs.String())
	}
}
