package callout

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// hidden stands for a part of the URL in a text of the endpoint.
const hidden = "…"

// secrets are the texts of an endpoint's URL that no user may read: userinfo, query and their parts. The endpoint got them
// with the request, and error pages repeat them: "Cannot POST /mutate?token=…". The fragment is never sent.
type secrets []string

// secretsOf returns the secrets of a URL, the longest first. Short values and words that answers are made of are left out:
// they would hide too much of a message.
func secretsOf(u *url.URL) secrets {
	if u.User == nil && u.RawQuery == "" {
		return nil
	}
	var s secrets
	if u.User != nil {
		password, _ := u.User.Password()
		s.add(u.User.String(), u.User.Username(), password, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	s.add(u.RawQuery)
	for pair := range strings.FieldsFuncSeq(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		_, value, valued := strings.Cut(pair, "=")
		s.add(pair, value)
		if !valued {
			s.add(pair)
		}
	}
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(s)
}

// withoutSecrets hides the secrets in what an answer says to users. A failure quotes the answer among words of amp's own, so
// it is made again, of an answer without them; warnings and the message of a denial are the endpoint's own words.
func withoutSecrets(a review.Answer, f *review.Failure, s secrets, again func(body string) *review.Failure, body []byte) (review.Answer, *review.Failure) {
	if len(s) == 0 {
		return a, f
	}
	a.Message = s.hide(a.Message)
	for i := range a.Warnings {
		a.Warnings[i] = s.hide(a.Warnings[i])
	}
	if f == nil {
		return a, nil
	}
	if shown := s.hide(string(body)); shown != string(body) {
		if without := again(shown); without != nil {
			f = without
		}
	}
	if long := slices.IndexFunc(s, func(one string) bool { return len(one) < 8 }); long != 0 {
		if long < 0 {
			long = len(s)
		}
		f.Cause = s[:long].hide(f.Cause)
	}
	return a, f
}

// ordinary are words of answers, which a message needs.
var ordinary = []string{"true", "false", "null", "allowed", "status", "message", "reason", "code", "warnings", "patch", "value", "path", "from",
	"replace", "remove", "move", "copy", "test", "mutate", "validate"}

// add adds texts in the forms in which an answer may repeat them.
func (s *secrets) add(texts ...string) {
	const least = 4 // bytes
	for _, text := range texts {
		decoded, _ := url.QueryUnescape(text) // empty if it does not decode
		for _, form := range append(written(text), written(decoded)...) {
			if len(form) >= least && !slices.Contains(ordinary, strings.ToLower(form)) && !slices.Contains(*s, form) {
				*s = append(*s, form)
			}
		}
	}
}

// written returns a text as URLs, JSON and HTML write it.
func written(text string) []string {
	return []string{text, url.QueryEscape(text), strings.ReplaceAll(text, "/", `\/`), strings.ReplaceAll(text, "&", "&amp;"),
		strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(text)}
}

// hide replaces each secret in a text that is not a part of a longer word.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		if !strings.Contains(text, secret) {
			continue
		}
		var b strings.Builder
		rest := text
		for {
			i := strings.Index(rest, secret)
			if i < 0 {
				break
			}
			before, _ := utf8.DecodeLastRuneInString(rest[:i])
			after, _ := utf8.DecodeRuneInString(rest[i+len(secret):])
			b.WriteString(rest[:i])
			if ends(secret, before, after) {
				b.WriteString(hidden)
			} else {
				b.WriteString(secret)
			}
			rest = rest[i+len(secret):]
		}
		b.WriteString(rest)
		text = b.String()
	}
	return text
}

// ends reports whether a secret stands between two runes as a word of its own. A longer one is hidden everywhere: it is no
// part of a word by chance.
func ends(secret string, before, after rune) bool {
	const long = 12
	part := func(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	return len(secret) >= long || !part(before) && !part(after)
}
