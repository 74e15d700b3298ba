package jupyterhub

import (
	"bytes"
	"strings"
	"testing"
)

// TestCheckPrintsNothingThatATerminalObeys: the creator of a Pod writes its annotations, and the command prints them.
func TestCheckPrintsNothingThatATerminalObeys(t *testing.T) {
	pod := []byte(`{"kind":"Pod","metadata":{"annotations":{"hub.jupyter.org/username":"eve\u001b[2J\u009b1m\r","x/g":"a\u001b]0;b\u0007"}},"spec":{"containers":[{"name":"notebook"}]}}`)
	var out bytes.Buffer
	Check(write(t, "groupsFrom: {annotation: x/g}\n"), &Question{Pod: pod}, &out, &out)
	if !strings.Contains(out.String(), "eve") || strings.ContainsAny(out.String(), "\x1b\u009b\x07\r") {
		t.Errorf("it prints %q", out.String())
	}
}
