package review_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
)

func TestParseURL(t *testing.T) {
	for _, good := range []string{
		"http://a", "HTTPS://user:p%40ss@hook.team-a.svc:8443/a,b;c%2Fd?token=x,y&z#f", "http://10.0.0.1:80/", "http://[fd00::1]:8080/m", "http://[fd00::1]",
		"http://a:/", "http://größe.example/ü", "http://हिन्दी.example/", "http://gr%C3%B6%C3%9Fe.example/", "http://hook_1.svc./", "http://u@a?x", "http://a?MARK@x", "http://a/@scope/b", "http://a/x%40y", "http://a/go/http://b", "http://h/%00",
	} {
		if _, err := review.ParseURL(good); err != nil {
			t.Errorf("%s %v", good, err)
		}
	}
	const (
		scheme = "does not begin with http:// or https://"
		host   = "has a host that is neither a name nor an address"
		port   = "has a bad port (1 to 65535); in a password, percent-encode / ? # and @"
		user   = "has userinfo with a character that must be percent-encoded"
		escape = "has a % that two hexadecimal digits must follow; write %25"
	)
	for text, want := range map[string]string{
		"": scheme, "MARK": scheme, "//u:MARK@h": scheme, "u:MARK@host/path": scheme, "htp://u:MARK@h": scheme, "http:MARK": scheme, "http:/MARK@h": scheme, "http//h?MARK": scheme, "https:u:MARK@h": scheme,
		"http://": "has no host", "http:///x?MARK": "has no host", "http://u:MARK@": "has no host", "http://:80/?MARK": "has no host", "http://?MARK": "has no host", "http://#MARK": "has no host",
		"http://u:p@h:MARK": port, "http://user:MARK": port, "http://user:MARK/x": port, "http://u:p?MARK@h": port, "http://h:0": port, "http://h:65536": port, "http://user:1234567890": port,
		"http://u:MA RK@h": "holds white space or a control character; percent-encode it", "http://h/?\x00MARK": "holds white space or a control character; percent-encode it", "http://h/\x7f": "holds white space or a control character; percent-encode it",
		"http://h/%MARK": escape, "http://u:%zMARK@h/": escape, "http://h/%": escape,
		"http://u:MA^RK@h/": user, "http://u:<MARK>@h": user,
		"http://[fe80::1%25MARK]/": host, "http://[MARK": host, "http://h]MARK/": host, "http://[MARK]/": host, "http://[10.0.0.1]/": host,
		"http://u:1/MARK@h/": "has in its path an @ or another URL", "http://a/m,htp://u:MARK@b/": "has in its path", "http://a/m,//u:MARK@b": "has in its path", "http://a/m,://MARK": "has in its path",
		"http://a%C2%9B31m/": host, "http://a%E2%80%AEb/": host, "http://a\u202eb/": host, "http://a\u200bb/": host, "http://☃/": host,
		"http://a,MARK": host, "http://h&token=MARK/": host, "http://h;MARK": host, "http://a%FFb/": host, "http://h\\@MARK/": user, "http://*.svc/": host, "http://fd00::1/": port,
	} {
		u, err := review.ParseURL(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) && err.Error() != want {
			t.Errorf("%q: %v, %v; want %s", text, u, err, want)
		}
	}
}
