package outbound

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/txn2/amp/internal/reload"
)

// Printable reports whether s can be a header value as it is.
func Printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Token reads a file that holds a bearer token, for the variable or flag that names the file: it is the value of the header
// Authorization. failed is as for [reload.New].
func Token(variable, path string, failed func(error)) (*reload.Files[string], error) {
	token, err := reload.New(func(contents [][]byte) (string, error) {
		token := string(bytes.TrimSpace(contents[0]))
		switch {
		case token == "":
			return "", fmt.Errorf("%s is empty (%s)", path, variable)
		case !Printable(token):
			return "", fmt.Errorf("%s does not hold a token: a token is one line of ASCII (%s)", path, variable)
		}
		return "Bearer " + token, nil
	}, failed, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return token, nil
}

// EncodeAttribute writes a CloudEvents attribute as a header value (HTTP protocol binding 1.0.2, section 3.1.3.2): a space,
// a quotation mark, a per cent sign and every character outside U+0021 to U+007E become their UTF-8 bytes, each as %XX.
// sdk-go does not do that. Bytes that are not UTF-8 become U+FFFD, because receivers must reject them. The requests to
// endpoints and to the event sink both carry such attributes.
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
