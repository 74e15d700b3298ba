package apply

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// failure returns the failure of the op of that number. Neither text nor what it shows may be a value of
// the Pod or of the patch: a value may be a secret. The cause, nil if amp found the fault itself, may quote
// values.
func failure(number int, op *review.Op, text string, cause error) *review.Failure {
	return &review.Failure{Result: review.ResultPatch, Cause: Describe(number, op) + ": " + text, Err: cause}
}

// Describe names an op so that the author of the endpoint finds it in what the endpoint sent.
func Describe(number int, op *review.Op) string {
	name := op.Op
	switch name {
	case "move", "copy":
		return fmt.Sprintf("op %d (%s %s from %s)", number, name, Quote(op.Path), Quote(op.From))
	case "add", "remove", "replace", "test":
	default:
		name = Quote(name)
	}
	return fmt.Sprintf("op %d (%s %s)", number, name, Quote(op.Path))
}

// Quote returns a text that the endpoint chose as a message shows it: of at most 100 characters, in quotes,
// with control characters escaped.
func Quote(text string) string { return strconv.Quote(review.Clip(text, 100)) }

// quoteLong is Quote for a path in a remedy, which is of use only as a whole.
func quoteLong(text string) string { return strconv.Quote(review.Clip(text, 200)) }

// PlainPath is Quote for a path, without the quotes if nothing in it needs them.
func PlainPath(path string) string {
	quoted := Quote(path)
	if quoted == `"`+path+`"` && !strings.Contains(path, " ") {
		return path
	}
	return quoted
}

// Key returns a key of an object as a part of a field's path. It is in quotes only if it does not look like
// the name of a field.
func Key(key string) string {
	odd := strings.ContainsFunc(key, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || '9' < r) && (r < 'A' || 'Z' < r) && (r < 'a' || 'z' < r)
	})
	if odd || key == "" || len(key) > 60 {
		return Quote(key)
	}
	return key
}
