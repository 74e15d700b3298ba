// Package reload keeps a value that is made of files up to date: a certificate and its key, a CA bundle, a
// token. It has no goroutine and no timer: whoever asks for the value makes it look at the files, a few
// microseconds each, and they are read only when one of them changed.
package reload

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files is a value made of one or more files. It is safe for concurrent use.
type Files[T any] struct {
	paths  []string
	parse  func(contents [][]byte) (T, error)
	failed func(error)

	reading sync.Mutex // held by the one who reads; the others do not wait for it
	state   atomic.Pointer[state[T]]
}

// state is what is known of the files; it is replaced, never changed.
type state[T any] struct {
	value   T     // the last good one
	err     error // why the files as they are now make no value
	stamps  []fs.FileInfo
	sum     [sha256.Size]byte
	settled bool // nothing could still be written within the time stamps of stamps
}

// New reads the files at paths and returns the value that parse makes of their contents, which come in the
// same order. Whenever the files have changed and make no value any more, failed is told once (nil: nobody
// is), and the last good value stays. An error is that of the first reading.
func New[T any](parse func(contents [][]byte) (T, error), failed func(error), paths ...string) (*Files[T], error) {
	f := &Files[T]{paths: paths, parse: parse, failed: failed}
	first := f.read(nil, f.stat())
	if first.err != nil {
		return nil, first.err
	}
	f.state.Store(first)
	return f, nil
}

// Get returns the value of the files as they are now or, where they make none, the last good one.
func (f *Files[T]) Get() T {
	value, _ := f.Load()
	return value
}

// Load is [Files.Get] for those who must not go on with a value that is out of date: the error says why the
// files as they are now make none.
//
// While somebody else reads changed files, Load returns what was good before instead of waiting.
func (f *Files[T]) Load() (T, error) {
	now := f.state.Load()
	if stamps := f.stat(); !now.settled || !same(now.stamps, stamps) {
		now = f.refresh(stamps)
	}
	return now.value, now.err
}

func (f *Files[T]) refresh(stamps []fs.FileInfo) *state[T] {
	if !f.reading.TryLock() {
		return f.state.Load()
	}
	defer f.reading.Unlock()
	before := f.state.Load()
	if before.settled && same(before.stamps, stamps) {
		return before // somebody was faster
	}
	now := f.read(before, stamps)
	f.state.Store(now)
	if now.err != nil && f.failed != nil && before.sum != now.sum {
		f.failed(now.err)
	}
	return now
}

// stat returns what the files look like, nil for one that cannot be looked at. It follows links: a volume
// of Kubernetes is changed by swapping one. It comes before the reading, so that a change in between shows
// the next time.
func (f *Files[T]) stat() []fs.FileInfo {
	stamps := make([]fs.FileInfo, len(f.paths))
	for i, path := range f.paths {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = info
		}
	}
	return stamps
}

// settleTime is how old a file must be before its time stamp is believed: a file system counts in ticks of
// some milliseconds, and what is written twice within one looks unchanged. Until then it is read again, and
// its contents are compared.
const settleTime = 50 * time.Millisecond

func (f *Files[T]) read(before *state[T], stamps []fs.FileInfo) *state[T] {
	now := &state[T]{stamps: stamps, settled: true}
	contents := make([][]byte, len(f.paths))
	sum := sha256.New()
	for i, path := range f.paths {
		if stamps[i] != nil && time.Since(stamps[i].ModTime()).Abs() < settleTime {
			now.settled = false
		}
		var err error
		if contents[i], err = os.ReadFile(path); err != nil && now.err == nil {
			now.err = err // it names the file
		}
		fmt.Fprintf(sum, "%t %d\n", err == nil, len(contents[i]))
		sum.Write(contents[i])
	}
	sum.Sum(now.sum[:0])

	switch {
	case before != nil && before.sum == now.sum:
		now.value, now.err = before.value, before.err // touched, not changed
		return now
	case now.err == nil:
		now.value, now.err = f.parse(contents)
	}
	if now.err != nil && before != nil {
		now.value = before.value
	}
	return now
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil || b[i] == nil:
			if a[i] != b[i] {
				return false
			}
		case a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) || !os.SameFile(a[i], b[i]):
			return false
		}
	}
	return true
}
