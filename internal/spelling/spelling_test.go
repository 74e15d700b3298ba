package spelling_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/spelling"
)

func TestNearest(t *testing.T) {
	known := []string{"env", "envFrom", "image", "imagePullPolicy", "livenessProbe", "ports", "readinessProbe", "resources", "tty", "volumeDevices", "volumeMounts"}
	for name, want := range map[string]string{
		"Image":           "image",
		"volume_mounts":   "volumeMounts",
		"volume-mounts":   "volumeMounts",
		"IMAGEPULLPOLICY": "imagePullPolicy",
		"evn":             "env",
		"port":            "ports",
		"volumeMount":     "volumeMounts",
		"enviroment":      "env",
		"envFroms":        "envFrom",
		"mounts":          "volumeMounts",
		"pullPolicy":      "imagePullPolicy",
		"resuorcess":      "resources",
		"probe":           "", // there are two
		"volume":          "", // there are two
		"xyz":             "",
		"en":              "",
		"t":               "",
		"":                "",
		"é":               "",
	} {
		if got := spelling.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
		backward := slices.Clone(known)
		slices.Reverse(backward)
		if got := spelling.Nearest(name, backward); got != want {
			t.Errorf("Nearest(%q) = %q with the names in another order, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"patch", "patch", 0}, {"ptach", "patch", 1}, {"patc", "patch", 1}, {"patchh", "patch", 1}, {"petch", "patch", 1},
		{"", "op", 2}, {"warning", "warnings", 1}, {"wrning", "warnings", 2}, {"allowed", "status", 3}, {"", "allowed", 3}, {strings.Repeat("a", 100), "allowed", 3},
	} {
		if got := spelling.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
