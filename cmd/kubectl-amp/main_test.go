package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/doctor"
)

func TestUsage(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for args, test := range map[string]struct {
		code      int
		out, errs string // what each must contain
	}{
		"":                          {2, "", "usage: kubectl amp COMMAND"},
		"help":                      {0, "usage: kubectl amp COMMAND", ""},
		"version":                   {0, "kubectl-amp ", ""},
		"version -o json":           {0, `{"version": "`, ""},
		"version --help":            {0, "usage: kubectl amp version", ""},
		"version --nonsense":        {2, "", "unknown flag: --nonsense"},
		"doctor --help":             {0, "exit codes:", ""},
		"cure":                      {2, "", `unknown command "cure": allowed are doctor, `},
		"doctor --nonsense":         {2, "", "unknown flag: --nonsense"},
		"doctor team-a":             {2, "", `unknown argument "team-a"`},
		"doctor -o yaml":            {2, "", `--output "yaml": allowed are text and json`},
		"doctor --timeout 0s":       {2, "", "allowed is a positive duration"},
		"doctor":                    {2, "", "found no kubeconfig: KUBECONFIG names a file that does not exist:"},
		"doctor --kubeconfig /none": {2, "", "--kubeconfig names a file that does not exist: /none"},
		"doctor --timeout 5s --server http://127.0.0.1:1": {2, "", "the API server http://127.0.0.1:1 cannot be asked: connection refused"},
	} {
		t.Run(args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(t.Context(), strings.Fields(args), &out, &errs)
			if code != test.code || !strings.Contains(out.String(), test.out) || !strings.Contains(errs.String(), test.errs) {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out.String(), errs.String())
			}
			if (code == 0) == (out.Len() == 0) || (code == 0) != (errs.Len() == 0) {
				t.Errorf("stdout %q, stderr %q", out.String(), errs.String())
			}
		})
	}
}

// Without a cluster, the doctor names the kubeconfig, says what is wrong with it and what to do, for people and scripts.
func TestNoCluster(t *testing.T) {
	const clusters = `{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: "https://me:secret@127.0.0.1:1/?q=secret"}}, {name: ca, cluster: {server: "https://127.0.0.1:1", certificate-authority: /none/ca.crt}}],
users: [{name: u, user: {token: secret}}],
contexts: [{name: one, context: {cluster: c, user: u}}, {name: gone, context: {cluster: x}}, {name: nobody, context: {cluster: c, user: x}}, {name: ca, context: {cluster: ca}}]`
	for name, test := range map[string]struct {
		file    string // its content; absent if empty
		flags   string
		message string // DIR stands for the file's folder
		remedy  string // the beginning
	}{
		"there is no file":            {"", "", "found no kubeconfig: KUBECONFIG names a file that does not exist: DIR/config", "name a kubeconfig:\n"},
		"the flag's file is missing":  {"", "--kubeconfig DIR/other", "--kubeconfig names a file that does not exist: DIR/other", "name a kubeconfig:\n"},
		"it is a folder":              {"", "--kubeconfig DIR", "kubeconfig DIR cannot be used: is a directory", "correct it, or name a kubeconfig:\n"},
		"it is not YAML":              {"a: [secret", "", "kubeconfig DIR/config cannot be used: yaml: line 1: did not find expected ',' or ']'", "correct it, or name"},
		"it is text":                  {"secret", "", "kubeconfig DIR/config cannot be used: it is not a file of kind Config", "correct it, or name"},
		"it is another object":        {"{apiVersion: v1, kind: Pod}", "", "kubeconfig DIR/config cannot be used: it is not a file of kind Config", "correct it, or name"},
		"it has another shape":        {"{apiVersion: v1, kind: Config, clusters: secret}", "", "kubeconfig DIR/config cannot be used: json: cannot unmarshal string into", "correct it, or name"},
		"it is empty":                 {"\n", "", "kubeconfig DIR/config cannot be used: it has no current-context; it has no contexts at all", "name another:\nkubectl amp doctor --context NAME"},
		"there is no current context": {clusters + "}", "", "kubeconfig DIR/config cannot be used: it has no current-context; it has ca, gone, nobody, one", "name another:\n"},
		"the current one is missing":  {clusters + ", current-context: two}", "", `kubeconfig DIR/config cannot be used: it has no context "two"; it has ca, gone, nobody, one`, "name another:\n"},
		"the flag's one is missing":   {clusters + ", current-context: one}", "--context two", `kubeconfig DIR/config cannot be used: it has no context "two"`, "name another:\n"},
		"its cluster is missing":      {clusters + ", current-context: gone}", "", `kubeconfig DIR/config cannot be used: its context "gone" names cluster "x", which it does not have`, "name another:\n"},
		"its user is missing":         {clusters + ", current-context: nobody}", "", `kubeconfig DIR/config cannot be used: its context "nobody" names user "x", which it does not have`, "name another:\n"},
		"the flag's user is missing":  {clusters + ", current-context: one}", "--user x", `kubeconfig DIR/config cannot be used: user "x" does not exist`, "correct it. This shows it:\nkubectl config view"},
		"a file that it names":        {clusters + ", current-context: ca}", "--kubeconfig DIR/config", "kubeconfig DIR/config cannot be used: unable to read certificate-authority /none/ca.crt", "correct it. This shows it:\nkubectl --kubeconfig "},
		"nothing listens there":       {clusters + ", current-context: one}", "", "the API server https://127.0.0.1:1 cannot be asked: connection refused (kubeconfig DIR/config, context one)", "start the cluster"},
		"nor there, with two files":   {clusters + ", current-context: one}", "--cluster c", "the API server https://127.0.0.1:1 cannot be asked: connection refused (kubeconfig DIR/config, context one)", "start the cluster"},
		"a server without kubeconfig": {"", "--server http://127.0.0.1:1", "the API server http://127.0.0.1:1 cannot be asked: connection refused (--server)", "start the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "config")
			if test.file != "" {
				if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("KUBECONFIG", file)
			t.Setenv("KUBERNETES_SERVICE_HOST", "")
			args := append([]string{"doctor"}, strings.Fields(strings.ReplaceAll(test.flags, "DIR", dir))...)
			var out, errs bytes.Buffer
			if code := run(t.Context(), append(args, "-o", "json"), &out, &errs); code != 2 || errs.Len() > 0 {
				t.Errorf("exit code %d, stderr %q", code, errs.String())
			}
			var report doctor.Report
			d := json.NewDecoder(bytes.NewReader(out.Bytes()))
			if err := d.Decode(&report); err != nil || d.More() || len(report.Checks) != 1 || report.Summary.Failed != 1 {
				t.Fatalf("%v: %s", err, out.String())
			}
			is := report.Checks[0]
			if is.ID != "cluster" || is.Status != doctor.Failed || !strings.HasPrefix(is.Message, strings.ReplaceAll(test.message, "DIR", dir)) || !strings.HasPrefix(is.Remedy, test.remedy) {
				t.Errorf("%+v", is)
			}
			if strings.Contains(out.String(), "secret") {
				t.Errorf("it shows a secret: %s", out.String())
			}
			out.Reset()
			if code := run(t.Context(), args, &out, &errs); code != 2 || out.Len() > 0 || !strings.Contains(strings.Join(strings.Fields(errs.String()), " "), is.Message+" → ") {
				t.Errorf("for people: exit code %d, stdout %q, stderr %q", code, out.String(), errs.String())
			}
		})
	}
}
