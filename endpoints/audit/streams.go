package audit

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxStreams bounds the streams that are open at one time. Each reads anew when something was stored.
const maxStreams = 64

// errReplaced ends the oldest stream when there are too many. Its reader may have gone without a word.
var errReplaced = errors.New("a newer stream took the place of this one")

// openStreams are the streams that are open, the oldest first.
type openStreams struct {
	mu  sync.Mutex
	all []*openStream
}

type openStream struct{ end context.CancelCauseFunc }

// add returns the context of one more stream, and what takes the stream out again. If there are too many, the oldest one
// ends.
func (o *openStreams) add(parent context.Context) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(parent)
	one := &openStream{cancel}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == maxStreams {
		o.all[0].end(errReplaced)
		o.all = slices.Delete(o.all, 0, 1)
	}
	o.all = append(o.all, one)
	return ctx, func() {
		cancel(nil)
		o.mu.Lock()
		defer o.mu.Unlock()
		if i := slices.Index(o.all, one); i >= 0 {
			o.all = slices.Delete(o.all, i, i+1)
		}
	}
}
