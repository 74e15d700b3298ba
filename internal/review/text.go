package review

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes one line of s: any sequence of white space, control characters and what is not UTF-8 becomes one space. The API
// server silently drops a warning with a newline, and a newline in a message could forge a line of a log.
func Line(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && (unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError) }) {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			space = true
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}

// Clip shortens s to at most n characters, n > 0. If it cuts, the last character is an ellipsis.
func Clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}
