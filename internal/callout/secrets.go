package callout

import (
	"encoding/base64"
	"net/http"
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
		_, value, _ := strings.Cut(pair, "=")
		s.add(pair, value)
	}
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return s
}

// parse is parse of an answer that says something to users, which does not say the secrets. A failure also quotes the answer
// among words of amp's own, so it is made of an answer without them; the message of a denial and warnings are the endpoint's
// own words.
func (s secrets) parse(phase review.Phase, status int, header http.Header, body []byte) (review.Answer, *review.Failure) {
	a, f := parse(phase, status, header, body, s)
	a.Message = s.hide(a.Message)
	if f == nil {
		return a, nil
	}
	if shown := s.hide(string(body)); shown != string(body) {
		if _, without := parse(phase, status, header, []byte(shown), s); without != nil {
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
	query := url.QueryEscape(text)
	component := strings.ReplaceAll(query, "+", "%20") // as JavaScript writes it
	return []string{text, query, component, url.PathEscape(text), lowerEscapes(query), lowerEscapes(component), strings.ReplaceAll(text, "/", `\/`), strings.ReplaceAll(text, "&", "&amp;"),
		strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(text)}
}

// lowerEscapes writes %2F as %2f, as .NET does.
func lowerEscapes(text string) string {
	b := []byte(text)
	for i := range b {
		if b[i] == '%' && i+2 < len(b) {
			copy(b[i:], strings.ToLower(text[i:i+3]))
		}
	}
	return string(b)
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
