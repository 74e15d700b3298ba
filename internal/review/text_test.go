package review_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/internal/review"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"  ":                    "",
		"a b":                   "a b",
		" a b ":                 "a b",
		"a  b":                  "a b",
		"a  b\tc":               "a b c",
		"a\r\n\r\nb":            "a b",
		"a \u00a0\u2028 b":      "a b",
		"a\x1b[2Jb\u202e":       "a [2Jb",
		"a \xff b":              "a b",
		"\xffa\xff":             "a",
		"Pod \u201eä\u201c, 日本": "Pod \u201eä\u201c, 日本",
	} {
		if got := review.Line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestEscapeJSON(t *testing.T) {
	for text, want := range map[string]string{
		"{\n  \"ä €\": \"日本\"\n}\n": "{\n  \"ä €\": \"日本\"\n}\n",
		"\"\u009b2J\x7f\u202e\"":    `"\u009b2J\u007f\u202e"`,
		"\"\U000e0041x\"":           `"\udb40\udc41x"`,
	} {
		got := review.EscapeJSON([]byte(text))
		if string(got) != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		var before, after any
		if json.Unmarshal([]byte(text), &before) != nil || json.Unmarshal(got, &after) != nil {
			t.Errorf("%q is not JSON, or was not", got)
		} else if a, ok := after.(string); ok && a != before {
			t.Errorf("%q says %q, want %q", got, a, before)
		}
	}
}
