package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckReadsItsFlags(t *testing.T) {
	dir := t.TempDir()
	profiles, pod := filepath.Join(dir, "profiles.yaml"), filepath.Join(dir, "pod.yaml")
	const alices = "{kind: Pod, metadata: {annotations: {hub.jupyter.org/username: alice}}, spec: {containers: [{name: notebook}]}}"
	for file, text := range map[string]string{
		profiles: "{groupsFrom: {annotation: x/g}, groups: {a: {labels: {x/a: a}}, b: {labels: {x/b: b}}}, users: {alice: {env: [{name: V, value: secret}]}}}",
		pod:      alices,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		args  string // with P for the profiles file, and POD for the Pod's
		stdin string
		code  int
		says  string
	}{
		"a file alone":                      {"check P", "", 0, "user alice: groups"},
		"a user, flags behind":              {"check P --user alice", "", 0, "adds environment variable V"},
		"a user, flags before":              {"check --user=alice P", "", 0, "adds environment variable V"},
		"values":                            {"check P --user alice --values", "", 0, `"value":"secret"`},
		"groups, a server":                  {"check P --user alice --group a --group b --server s", "", 0, "groups.a (the Pod names it)"},
		"a Pod from a file":                 {"check P --pod POD", "", 0, "adds environment variable"},
		"a Pod from stdin":                  {"check P --pod -", alices, 0, "adds environment variable"},
		"help":                              {"--help", "", 0, "--group NAME"},
		"help of the command":               {"check --help", "", 0, "--group NAME"},
		"no command":                        {"", "", 2, "endpoints: want jupyterhub check FILE: see endpoints jupyterhub --help"},
		"another command":                   {"chekc P", "", 2, "want jupyterhub check FILE"},
		"no file":                           {"check", "", 2, "want one profiles file, not 0"},
		"two files":                         {"check P P", "", 2, "want one profiles file, not 2"},
		"an unknown flag":                   {"check P --users alice", "", 2, "flag provided but not defined: -users"},
		"a flag without a value":            {"check P --user", "", 2, "flag needs an argument: -user"},
		"an empty user":                     {"check P --user=", "", 2, "--user is empty"},
		"a server, but no user":             {"check P --server s", "", 2, "want --user or --pod, too"},
		"values of nothing":                 {"check P --values", "", 2, "want --user or --pod, too"},
		"a user and a Pod":                  {"check P --user alice --pod POD", "", 2, "--pod says who the user is"},
		"groups with commas between":        {"check P --user alice --group a,b", "", 2, "want one name of a group: repeat the flag for more"},
		"a Pod that is not there":           {"check P --pod POD.none", "", 2, "endpoints: reading --pod: open "},
		"nothing on stdin":                  {"check P --pod -", "", 2, "endpoints: reading --pod: - is empty: want a Pod"},
		"a profiles file that is not there": {"check P.none --user alice", "", 2, "endpoints: open "},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			for _, arg := range strings.Fields(tc.args) {
				switch {
				case strings.HasPrefix(arg, "POD"):
					arg = pod + arg[len("POD"):]
				case strings.HasPrefix(arg, "P"):
					arg = profiles + arg[len("P"):]
				}
				args = append(args, arg)
			}
			var stdout, stderr bytes.Buffer
			code := check(args, strings.NewReader(tc.stdin), &stdout, &stderr)
			if said := stdout.String() + stderr.String(); code != tc.code || !strings.Contains(said, tc.says) {
				t.Errorf("exit code %d, want %d; it says\n%s\nwant %s", code, tc.code, said, tc.says)
			}
			if (code == 2) != (stderr.Len() > 0) {
				t.Errorf("exit code %d, on stderr: %s", code, &stderr)
			}
			if strings.Contains(stdout.String(), "secret") && !strings.Contains(tc.args, "--values") && !strings.Contains(tc.args, "help") {
				t.Errorf("it prints a value:\n%s", &stdout)
			}
		})
	}
}
