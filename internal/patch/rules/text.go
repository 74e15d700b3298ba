package rules

import (
	"fmt"
	"strings"

	"github.com/txn2/amp/internal/patch/apply"
)

// maxNamed is how many names one text lists, and of how many fields amp warns one by one: the API server
// shortens the warnings of an answer if together they are long.
const maxNamed = 3

// names lists the first of the keys that an endpoint chose.
func names(keys []string) string {
	var b strings.Builder
	for i, key := range keys {
		if i == maxNamed {
			fmt.Fprintf(&b, " and %d more", len(keys)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(apply.Quote(key))
	}
	return b.String()
}

// The forms of keys and values, as a text that refuses one gives them.
const (
	shortName     = "use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends"
	qualifiedName = shortName + "; a DNS name and a slash may come first"
)

// keyRemedy says how to write a key of a label or annotation that is malformed.
func keyRemedy(key string) string {
	if strings.Contains(key, "~1") || strings.Contains(strings.ToLower(key), "%2f") {
		return "a / is ~1 in a path, and / itself in a value"
	}
	return qualifiedName
}
