package review_test

import (
	"net/url"
	"testing"

	"github.com/txn2/amp/internal/review"
)

// Metrics and circuits count an endpoint's host once, however its URL is spelled, except for what punycode leaves alone.
func TestAHostHasOneSpelling(t *testing.T) {
	for want, spellings := range map[string][]string{
		"hook.svc":                        {"http://hook.svc", "http://HOOK.svc.:80/mutate", "https://u:p@Hook.SVC:443", "http://hook.svc:0080"},
		"hook.svc:8080":                   {"http://hook.svc:8080", "http://hook.svc.:08080"},
		"hook.svc:443":                    {"http://hook.svc:443"},
		"10.0.0.1":                        {"http://10.0.0.1", "http://[::ffff:10.0.0.1]:80"},
		"[fd00::1]:8080":                  {"http://[fd00::1]:8080", "http://[FD00:0::1]:8080"},
		"xn--hook-.svc":                   {"http://xn--hook-.svc"}, // no name, and not hook.svc
		"xn--10-.0.0.1":                   {"http://xn--10-.0.0.1"},
		"xn--hook-.xn--bcher-kva.example": {"http://xn--hook-.bücher.example"},
		"xn--bcher-kva.example":           {"http://bücher.example", "http://BÜCHER.example.", "http://b%C3%BCcher.example", "http://XN--bcher-kva.example"},
	} {
		for _, spelling := range spellings {
			u, err := url.Parse(spelling)
			if err != nil {
				t.Fatal(err)
			}
			if got := review.NewEndpoint(u).Host; got != want {
				t.Errorf("%s: %q, want %q", spelling, got, want)
			}
		}
	}
}
