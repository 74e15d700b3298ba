package serve

import (
	"strings"
	"testing"
)

func TestTheTokenOfTheSink(t *testing.T) {
	for name, test := range map[string]struct {
		sink, insecure, events string
		want                   string // a part of the error; empty for none
	}{
		"https":                              {sink: "https://sink"},
		"https to a public address":          {sink: "https://203.0.113.1"},
		"http":                               {sink: "http://sink", want: "AMP_EVENTS_TOKEN_FILE needs a K_SINK with https"},
		"http, allowed":                      {sink: "http://sink", insecure: "true"},
		"http, not allowed by name":          {sink: "http://sink", insecure: "false", want: "AMP_EVENTS_TOKEN_INSECURE=true"},
		"http to a private address, allowed": {sink: "http://10.0.0.1:80", insecure: "true"},
		"http to a public address, allowed":  {sink: "http://203.0.113.1", insecure: "true", want: "only to a private address"},
		"http to a public address in IPv6":   {sink: "http://[2001:db8::1]:80", insecure: "true", want: "only to a private address"},
		"another word than true":             {sink: "https://sink", insecure: "yes", want: `AMP_EVENTS_TOKEN_INSECURE="yes": allowed: true and false`},
		"no sink":                            {want: "AMP_EVENTS_TOKEN_FILE needs K_SINK"},
		"events are off":                     {events: "off"},
		"a sink with a password":             {sink: "https://user:s3cret@sink", want: "AMP_EVENTS_TOKEN_FILE and a K_SINK with userinfo exclude each other"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"AMP_EVENTS_TOKEN_FILE": "/var/run/token", "K_SINK": test.sink, "AMP_EVENTS_TOKEN_INSECURE": test.insecure, "AMP_EVENTS": test.events,
				"AMP_LOG_LEVEL": "loud"} // all are reported together
			_, err := Load(func(name string) string { return env[name] })
			text := err.Error()
			if !strings.Contains(text, "AMP_LOG_LEVEL") || !strings.Contains(text, test.want) || (test.want == "") != (strings.Count(text, "\n") == 1) || strings.Contains(text, "s3cret") {
				t.Errorf("%s", text)
			}
		})
	}
}
