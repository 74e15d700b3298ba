package replay

import "testing"

// TestGeneral: what is about this Pod alone is left out, so that what befell many Pods is one group.
func TestGeneral(t *testing.T) {
	for message, want := range map[string]string{
		"team-a/web-7 wants 512 MiB, jane has 300": "team-a/… wants … MiB, … has …",
		"http://hook.a.svc:8080/v2 answered 503":   "http://hook.a.svc:8080/v… answered 503",
		"answered 500: no room for 40 GiB":         "answered 500: no room for … GiB",
		"answered 1048577 bytes":                   "answered … bytes",
	} {
		if got := general(&recorded{name: "web-7", user: "jane"}, message); got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
	}
}

// TestGeneralOfShortNames: a name of one or two letters is also a part of other words, which are the same for many Pods.
func TestGeneralOfShortNames(t *testing.T) {
	const message = "no GPUs left for team-a/a"
	if got := general(&recorded{name: "a", user: "e"}, message); got != message {
		t.Errorf("%s, want %s", got, message)
	}
}
