package callout

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
)

// What an endpoint repeats of its URL is not shown, and the rest of its words is.
func TestSecretsAreHidden(t *testing.T) {
	for sentence, test := range map[string]struct{ url, text, want string }{
		"a query":                              {"http://h/m?token=s3cret&a=b", "Cannot POST /m?token=s3cret&a=b", "Cannot POST /m?…"},
		"a value of the query":                 {"http://h/m?token=s3cret&a=b", "token s3cret has expired", "token … has expired"},
		"a decoded value":                      {"http://h/m?token=s3%2Fcret%3D", `no "s3/cret=", no s3\/cret=`, `no "…", no …`},
		"a decoded value, as .NET encodes it":  {"http://h/m?token=s3/cret=x y", "Cannot POST /m?a=s3%2fcret%3dx%20y", "Cannot POST /m?a=…"},
		"a query in HTML":                      {"http://h/m?t=s3cret&amp", "/m?t=s3cret&amp;amp", "/m?…"},
		"a password and a user":                {"http://jane:s3cret@h", "jane has not the password s3cret", "… has not the password …"},
		"basic authentication":                 {"http://jane:s3cret@h", "Authorization: Basic amFuZTpzM2NyZXQ=", "Authorization: Basic …"},
		"a key without a value":                {"http://h/?s3cret", "unknown parameter s3cret.", "unknown parameter …."},
		"nothing of a word by chance":          {"http://h/?tenant=east", "the eastern beasts", "the eastern beasts"},
		"but a long one within a word":         {"http://h/?t=s3cret-s3cret", "xs3cret-s3crety", "x…y"},
		"nothing short":                        {"http://h/?v=2&x=abc", "answer 2 of abc", "answer 2 of abc"},
		"no word that answers are made of":     {"http://h/?dry=true&mode=patch", "the patch is true", "the patch is true"},
		"nothing where the URL has nothing":    {"http://h/m", "/m failed", "/m failed"},
		"nothing of the fragment is ever sent": {"http://h/#s3cret", "s3cret", "s3cret"},
	} {
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := secretsOf(u).hide(test.text); got != test.want {
			t.Errorf("%s: %q, want %q", sentence, got, test.want)
		}
	}
	if s := secretsOf(&url.URL{Scheme: "http", Host: "h", Path: "/m"}); s != nil {
		t.Errorf("secrets of a usual URL: %q", s)
	}
	if got := (secrets{"s3cret"}).hide(strings.Repeat("s3cret ", 3)); got != "… … … " {
		t.Errorf("several: %q", got)
	}
}

// A secret that is longer than what amp shows of a text is not shown in part, and neither is one across the end.
func TestSecretsAreHiddenBeforeTheTextIsCut(t *testing.T) {
	for sentence, test := range map[string]struct {
		status int
		body   string
	}{
		"a denial":                {200, `{"allowed":false,"status":{"message":"TEXT"}}`},
		"a reason":                {200, `{"allowed":false,"status":{"reason":"TEXT"}}`},
		"a warning":               {200, `{"warnings":["TEXT"]}`},
		"an error":                {500, "TEXT"},
		"an error in JSON":        {500, `{"detail":"TEXT"}`},
		"an error in HTML":        {500, `<html><title>TEXT</title>`},
		"an error in HTML, <pre>": {500, `<html><title>Error</title><pre>TEXT</pre>`},
		"a member that is not":    {200, `{"allowd":true,"TEXT":1}`},
	} {
		for name, secret := range map[string]string{"long": strings.Repeat("s3cret", 300), "short": "s3cret", "escaped": `s3cret<"s3cret">`} {
			u := &url.URL{Scheme: "http", Host: "h", Path: "/m", RawQuery: "token=" + url.QueryEscape(secret)}
			s := secretsOf(u)
			for _, before := range []int{0, 30, 100, 110, maxErrorLine - 3, review.MaxWarning - 3, maxMessage - 3} {
				said := strings.Repeat("-", before) + " " + secret
				switch {
				case strings.HasPrefix(test.body, "{"):
					said = strings.NewReplacer(`"`, `\"`, "<", `\u003c`).Replace(said)
				case strings.HasPrefix(test.body, "<"):
					said = strings.NewReplacer(`"`, "&#34;", "<", "&lt;", ">", "&gt;").Replace(said)
				}
				body := strings.Replace(test.body, "TEXT", said, 1)
				a, f := s.parse(review.Mutate, test.status, http.Header{}, []byte(body))
				all := append(a.Warnings, a.Message)
				if f != nil {
					all = append(all, f.Cause)
				}
				if got := strings.Join(all, "\n"); strings.Contains(got, "s3c") {
					t.Errorf("%s, %s, behind %d characters: %.300s", sentence, name, before, got)
				}
			}
		}
	}
}
