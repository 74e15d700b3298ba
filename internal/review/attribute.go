package review

import (
	"strings"
	"unicode/utf8"
)

// EncodeAttribute writes a CloudEvents attribute as a header value (HTTP protocol binding 1.0.2, 3.1.3.2):
// space, quotation mark, per cent and whatever is outside U+0021 to U+007E as their UTF-8 bytes, each %XX.
// sdk-go leaves that out. What is not UTF-8 becomes U+FFFD, since receivers must reject it. What endpoints are
// asked and what the event sink gets are both such events.
func EncodeAttribute(s string) string {
	plain := true
	for i := range len(s) {
		if mustEncode(s[i]) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		if c := s[i]; mustEncode(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func mustEncode(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }
