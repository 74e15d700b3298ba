// Package reload keeps a value that is made of files up to date: a certificate and its key, a CA bundle, a token. It has
// no goroutine and no timer: each call that asks for the value checks the files, which takes a few microseconds each,
// and reads them only when one of them has changed.
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

	reading sync.Mutex // held by the call that reads the files; other calls do not wait for it
	state   atomic.Pointer[state[T]]
}

// state is what the last reading found. It is replaced, never changed.
type state[T any] struct {
	value   T     // the last good value
	err     error // why the files as they are now give no value
	stamps  []fs.FileInfo
	sum     [sha256.Size]byte
	settled bool // the files are so old that another write would change stamps
}

// New reads the files at paths and makes their value: parse gets their contents in the same order. When the files change
// and parse fails, the last good value stays, and the next Get or Load calls failed, once for that change, unless failed is
// nil. New returns the error of the first reading.
func New[T any](parse func(contents [][]byte) (T, error), failed func(error), paths ...string) (*Files[T], error) {
	f := &Files[T]{paths: paths, parse: parse, failed: failed}
	first := f.read(nil, f.stat())
	if first.err != nil {
		return nil, first.err
	}
	f.state.Store(first)
	return f, nil
}

// Get returns the value of the files as they are now, or the last good value if they give none.
func (f *Files[T]) Get() T {
	value, _ := f.Load()
	return value
}

// Load is like [Files.Get], for a caller that must not use a value that is out of date: the error says why the files as
// they are now give no value.
//
// While another call reads changed files, Load returns the value from before instead of waiting.
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
		return before // another call has read them in the meantime
	}
	now := f.read(before, stamps)
	f.state.Store(now)
	if now.err != nil && f.failed != nil && before.sum != now.sum {
		f.failed(now.err)
	}
	return now
}

// stat returns the state of each file, nil if it has none. It follows symbolic links, because the kubelet changes a volume
// by replacing one. It is called before the files are read, so that a change in between is noticed the next time.
func (f *Files[T]) stat() []fs.FileInfo {
	stamps := make([]fs.FileInfo, len(f.paths))
	for i, path := range f.paths {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = info
		}
	}
	return stamps
}

// settleTime is how old a file must be before its time stamp shows a change for certain: a file system counts in ticks of
// some milliseconds, and a second write within one tick leaves the time stamp as it was. A younger file is read again,
// and its contents are compared.
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
			now.err = err // os names the file in it
		}
		fmt.Fprintf(sum, "%t %d\n", err == nil, len(contents[i]))
		sum.Write(contents[i])
	}
	sum.Sum(now.sum[:0])

	switch {
	case before != nil && before.sum == now.sum:
		now.value, now.err = before.value, before.err // the contents are the same
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
