package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for args, test := range map[string]struct {
		code      int
		out, errs string // what each must contain
	}{
		"":                          {2, "", "usage: kubectl amp doctor"},
		"help":                      {0, "usage: kubectl amp doctor", ""},
		"version":                   {0, "kubectl-amp ", ""},
		"doctor --help":             {0, "exit codes:", ""},
		"cure":                      {2, "", `unknown command "cure": allowed are doctor and version`},
		"doctor --nonsense":         {2, "", "unknown flag: --nonsense"},
		"doctor team-a":             {2, "", `unknown argument "team-a"`},
		"doctor -o yaml":            {2, "", `--output "yaml": allowed are text and json`},
		"doctor --timeout 0s":       {2, "", "allowed is a positive duration"},
		"doctor":                    {2, "", "finding the cluster: "},
		"doctor --kubeconfig /none": {2, "", "/none"},
		"doctor --timeout 5s --server http://127.0.0.1:1": {2, "", "reaching the cluster: "},
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
