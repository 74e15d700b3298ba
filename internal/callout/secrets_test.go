package callout

import (
	"net/url"
	"strings"
	"testing"
)

// What an endpoint repeats of its URL is not shown, and the rest of its words is.
func TestSecretsAreHidden(t *testing.T) {
	for sentence, test := range map[string]struct{ url, text, want string }{
		"a query":                              {"http://h/m?token=s3cret&a=b", "Cannot POST /m?token=s3cret&a=b", "Cannot POST /m?…"},
		"a value of the query":                 {"http://h/m?token=s3cret&a=b", "token s3cret has expired", "token … has expired"},
		"a decoded value":                      {"http://h/m?token=s3%2Fcret%3D", `no "s3/cret=", no s3\/cret=`, `no "…", no …`},
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
