// Package jsonpointer reads and writes JSON pointers (RFC 6901) such as /metadata/annotations/example.com~1team.
// It does not look into documents.
package jsonpointer

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

// The errors of [Parse].
var (
	ErrNoSlash = errors.New("it must begin with a slash")
	ErrUTF8    = errors.New("it is not valid UTF-8")
	ErrEscape  = errors.New("~ must be written ~0, and / within a key ~1")
)

// Escape returns key as a segment of a JSON pointer: ~ becomes ~0, and / becomes ~1.
func Escape(key string) string { return escaper.Replace(key) }

// Unescape returns the key that a segment of a JSON pointer stands for. A ~ that is not part of an escape
// stays; [Parse] rejects it.
func Unescape(segment string) string {
	if strings.IndexByte(segment, '~') < 0 {
		return segment
	}
	return unescaper.Replace(segment)
}

// Format returns the JSON pointer with the given keys and indices as its segments. Without any it is "",
// the whole document.
func Format(keys ...string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteByte('/')
		b.WriteString(Escape(key))
	}
	return b.String()
}

// Parse returns the keys and indices of a JSON pointer, none for the whole document. Its error is one of
// this package's, for a pointer that RFC 6901 does not allow.
func Parse(pointer string) ([]string, error) {
	switch {
	case pointer == "":
		return nil, nil
	case pointer[0] != '/':
		return nil, ErrNoSlash
	case !utf8.ValidString(pointer):
		return nil, ErrUTF8
	}
	keys := strings.Split(pointer[1:], "/")
	if strings.IndexByte(pointer, '~') < 0 {
		return keys, nil
	}
	for i, segment := range keys {
		if strings.Count(segment, "~") != strings.Count(segment, "~0")+strings.Count(segment, "~1") {
			return nil, ErrEscape
		}
		keys[i] = Unescape(segment)
	}
	return keys, nil
}
