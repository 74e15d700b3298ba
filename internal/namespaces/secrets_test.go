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
