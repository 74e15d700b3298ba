package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What is bounded so that no event, and no number of requests at once, ends the process (deploy/audit gives it 512 MiB).
// Events of amp's stay far below: it calls 16 endpoints at most, and its queue holds no event that is larger than maxBody.
const (
	// maxValues bounds the JSON values that are decoded of one event: a few bytes of JSON may take a hundred in memory.
	maxValues = 200_000
	// maxMembers bounds the attributes of one event.
	maxMembers = 1000
	// maxDepth bounds how deep an event is nested. encoding/json reads 10,000 levels, and batches, exports and answers put the
	// event into objects of their own.
	maxDepth = 9000
	// small requests and answers are not counted one by one.
	small = 256 << 10
	// maxSmallPosts bounds the small requests whose bodies are here at one time, to 64 MiB in all. Most are on their way
	// for a moment. A body that does not end keeps its place until patience is over.
	maxSmallPosts = 256
	// maxParsing bounds the requests that are decoded at one time. That takes a processor, and up to fifty times the memory
	// of the body.
	maxParsing = 4
	// maxLargePosts, maxDetails and maxExports bound what is done at once of what may be large.
	maxLargePosts, maxDetails, maxExports = 2, 2, 4
	// turn is how long a request waits for its turn.
	turn = 10 * time.Second
	// patience is how long the other end may take for one large body.
	patience = 10 * time.Second
)

// A gate lets a number of requests through at one time.
type gate chan struct{}

// enter waits for a place, which the caller leaves.
func (g gate) enter(ctx context.Context, what string) error {
	timer := time.NewTimer(turn)
	defer timer.Stop()
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return &badRequest{http.StatusServiceUnavailable, fmt.Sprintf("%d %s are under way, which is the limit: try again", cap(g), what)}
	}
}

func (g gate) leave() { <-g }

// valuesIn returns how many values, about, a JSON text has, and how many of them are directly in it.
func valuesIn(text []byte) (all, inside int) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			all++
			if depth++; depth == 1 {
				inside++
			}
		case c == '}', c == ']':
			depth--
		case c == ',':
			all++
			if depth == 1 {
				inside++
			}
		}
	}
	return all, inside
}

// depthOf returns how deep a JSON text is nested.
func depthOf(text []byte) (most int) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
			most = max(most, depth)
		case c == '}', c == ']':
			depth--
		}
	}
	return most
}

var errTooMany = errors.New("too many values")

// shortList is a list in an event of which everything is decoded.
type shortList[T any] []T

func (l *shortList[T]) UnmarshalJSON(text []byte) error {
	if all, _ := valuesIn(text); all > maxValues {
		return errTooMany
	}
	return json.Unmarshal(text, (*[]T)(l))
}

// longList is a list in an event whose elements hold JSON that is not decoded.
type longList[T any] []T

func (l *longList[T]) UnmarshalJSON(text []byte) error {
	if _, inside := valuesIn(text); inside > maxValues {
		return errTooMany
	}
	return json.Unmarshal(text, (*[]T)(l))
}

// clip shortens what lists show of a text. The event itself is kept whole.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	end := maxShown - len("…")
	for end > 0 && s[end]&0xC0 == 0x80 { // within a character
		end--
	}
	return s[:end] + "…"
}
