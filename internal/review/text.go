package review

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Line makes one line of s: any sequence of white space, control characters and what is not UTF-8 becomes one space. The API
// server silently drops a warning with a newline, and a newline in a message could forge a line of a log.
func Line(s string) string {
	s = strings.ToValidUTF8(s, " ")
	if !strings.Contains(s, "  ") && !strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && breaks(r) }) {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if breaks(r) {
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

func breaks(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// Clip shortens s to at most n characters, n > 0. If it cuts, the last character is an ellipsis.
func Clip(s string, n int) string {
	end, count := 0, 0
	for i := range s { // not []rune(s): s may be megabytes long
		switch count {
		case n - 1:
			end = i
		case n:
			return strings.ToValidUTF8(s[:end], "\uFFFD") + "…"
		}
		count++
	}
	return s
}

// Visible replaces by U+FFFD what of s a terminal would obey instead of showing it, as its commands and what turns the direction
// of a text round. It keeps spaces, but no other white space.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// WriteJSON writes v for scripts, indented and as [EscapeJSON] writes it.
func WriteJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	if err == nil {
		_, err = w.Write(EscapeJSON(b.Bytes()))
	}
	return err
}

// EscapeJSON writes as \uXXXX what of a JSON text, on lines of its own, a terminal would obey instead of showing it.
// encoding/json does so only with some of it: not with U+009B, which begins a terminal's commands, and not with what turns the
// direction of a text round.
func EscapeJSON(text []byte) []byte {
	unshown := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if !bytes.ContainsFunc(text, unshown) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		if !unshown(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.Bytes()
}
