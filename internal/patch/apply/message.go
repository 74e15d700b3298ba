package apply

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// An Error says because of which op a patch does not apply, and why. Neither the text nor what it shows of the op may be a
// value of the Pod or of the patch: a value may be a secret.
type Error struct {
	Number int // of the op, from 1, among those given to [Apply]
	Op     *review.Op
	Text   string
	Err    error // what a library said, nil if amp found the fault itself; it may quote values
}

func (e *Error) Error() string { return Describe(e.Number, e.Op) + ": " + e.Text }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Late returns the failure of a check that ctx ended, nil if ctx did not end. The patch has that many ops.
func Late(ctx context.Context, ops int) error {
	if ctx.Err() == nil {
		return nil
	}
	return &review.Failure{Result: review.ResultLate, Cause: fmt.Sprintf("the time for the review was over before amp had checked the patch of %d ops: answer sooner, or send a smaller patch", ops)}
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
