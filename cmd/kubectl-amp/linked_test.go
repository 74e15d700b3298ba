package main

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestLeanProgram keeps packages out of the program that would make it large and slow. Go initializes every linked package
// at the start, also for --help, and some of these fill large tables then. The packages that the program imports directly
// are in a list in internal/proxy/imports_test.go; these may come with others.
//
// A cached result is right: a change of what the program links changes this test's binary, too.
func TestLeanProgram(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		t.Fatalf("%v: %s", err, failed.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "k8s.io/client-go/rest") {
		t.Fatalf("the list of packages is not complete: %d", len(linked))
	}
	for name, why := range map[string]string{
		"k8s.io/client-go/kubernetes":        "the clientset is a quarter of the program; newClient in internal/doctor has the groups that are needed",
		"k8s.io/client-go/kubernetes/scheme": "it registers every type of every API group at the start; each package of a typed client imports it",
		"k8s.io/client-go/informers":         "it imports the clientset",
		"k8s.io/client-go/discovery":         "it imports the OpenAPI models, which build their descriptors at the start",
	} {
		if slices.Contains(linked, name) {
			t.Errorf("%s is linked: %s", name, why)
		}
	}
}
