package fuzztest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// recorder keeps what a test is told instead of failing it.
type recorder struct {
	testing.TB
	told []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

var kept []byte

func TestWithin(t *testing.T) {
	for sentence, test := range map[string]struct {
		f    func()
		want string // the beginning of what is told, "" for nothing
	}{
		"little of both": {func() {}, ""},
		"too long": {func() {
			for begin, _ := used(); ; {
				if now, _ := used(); now-begin > 700*time.Millisecond {
					return
				}
			}
		}, "it took "},
		"too much, though it is gone at the end": {func() {
			for range 100 {
				kept = make([]byte, 1<<20)
			}
			kept = nil
		}, "it allocated "},
		"waiting is not work": {func() { time.Sleep(600 * time.Millisecond) }, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := &recorder{TB: t}
			Within(r, 500*time.Millisecond, 50<<20, test.f)
			if (len(r.told) == 0) != (test.want == "") || len(r.told) > 0 && !strings.HasPrefix(r.told[0], test.want) {
				t.Errorf("told %q, want %q", r.told, test.want)
			}
		})
	}
}

func TestWithinAlsoBoundsWhatEndsTheTest(t *testing.T) {
	r := &recorder{TB: t}
	func() {
		defer func() { _ = recover() }()
		Within(r, time.Minute, 1<<20, func() {
			kept = make([]byte, 10<<20)
			panic("the end")
		})
	}()
	if len(r.told) != 1 {
		t.Errorf("told %q", r.told)
	}
}
