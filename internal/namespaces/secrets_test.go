package namespaces_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/namespaces/namespacestest"
)

// urlKeys are the keys that hold URLs, and near misses of them.
var urlKeys = []string{"amp.txn2.com/ep", "mutation.amp.txn2.com/ep", "validation.amp.txn2.com/ep", "amp.txn2.com/candidate", "amp.txn2.com/eps", "amp.txn2.com/endpoint", "validation.amp.txn2.com/url",
	"amp.txn2.com/mode", "amp.txn2.com/pods", "amp.txn2.com/creators", "amp.txn2.com/timeout", "amp.txn2.com/events", "amp.txn2.com/unknown-fields"}

// hides checks that a policy shows no part of a secret.
func hides(t *testing.T, key, value, mark string) {
	t.Helper()
	for _, labels := range []keys{nil, {key: value}} {
		p := namespaces.Parse("x", optedIn(labels), keys{key: value})
		shown := fmt.Sprint(p.Err)
		for _, e := range append(p.Mutate, p.Validate...) {
			shown += " " + e.Name + " " + e.URL.Host
		}
		if strings.Contains(shown, mark) {
			t.Errorf("%s: %q shows %s", key, value, shown)
		}
	}
}

func TestNoSecretIsShown(t *testing.T) {
	for _, value := range namespacestest.Secrets("127.0.0.1:8080") {
		for _, key := range urlKeys {
			hides(t, key, value, namespacestest.Mark)
		}
	}
}

// FuzzNoSecretIsShown plants a mark into userinfo, query and fragment of a URL, between whatever texts.
func FuzzNoSecretIsShown(f *testing.F) {
	f.Add("u:", "", "h", "/m?a=", "#x", uint8(0))
	f.Add("", ",second", "h:bad", "", "", uint8(1))
	f.Add("a b", "%", "[::1%25x]", "/%zz", "http://b,", uint8(2))
	f.Fuzz(func(t *testing.T, before, after, host, path, list string, at uint8) {
		const mark = namespacestest.Mark
		if cut := "/?#\\"; strings.ContainsAny(before, cut) || at%3 == 0 && strings.ContainsAny(after, cut) || strings.Contains(before+after, "http") || strings.ContainsAny(host, cut+"@") || strings.ContainsAny(path, "?#@") {
			return // the mark would stand in the path, or in a host
		}
		url := "http://" + before + mark + after + "@" + host + path
		switch at % 3 {
		case 1:
			url = "http://" + host + "/" + path + "?" + before + mark + after
		case 2:
			url = "http://" + host + "/" + path + "#" + before + mark + after
		}
		if strings.ContainsAny(before+after+host+path, ", \t\r\n\v\f\u0085\u00a0\u2028\u2029") && strings.Contains(after+path, "/") {
			return // a list of which the mark's part may have a path
		}
		hides(t, "amp.txn2.com/ep", url, mark)
		hides(t, "amp.txn2.com/ep", list+" "+url, mark)
	})
}
