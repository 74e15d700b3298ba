package jupyterhub

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// maxBytes bounds the profiles file. A ConfigMap holds at most 1 MiB; another file may be larger.
const maxBytes = 8 << 20

// source returns the current profiles. Its zero value returns the built-in sample.
type source struct {
	file string

	mu     sync.Mutex
	text   []byte    // as last read, nil before
	parsed *profiles // the last one without a mistake
	err    error     // of the text as last read
}

// profiles returns the profiles in force: those of the file or, while the file has a mistake or cannot be
// read, the last good ones. It is an error only if there were none. It reads the file each time and parses it
// if it has changed. To look only at its time and size would miss a change within one tick of the clock.
// Reading takes microseconds.
func (s *source) profiles() (*profiles, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load()
	if s.parsed == nil {
		return nil, s.err
	}
	return s.parsed, nil
}

// load sets what is in force, and err.
func (s *source) load() {
	name, text := "(the built-in sample)", sample
	if s.file != "" {
		var err error
		name = s.file
		if text, err = read(s.file); err != nil {
			s.text = nil
			s.fail(fmt.Errorf("reading profiles: %w", err))
			return
		}
	}
	if s.text != nil && bytes.Equal(text, s.text) {
		return
	}
	s.text = text
	parsed, err := parse(text)
	if err != nil {
		s.fail(fmt.Errorf("reading profiles %s: %w", name, err))
		return
	}
	s.parsed, s.err = parsed, nil
	slog.Info("profiles read", "file", name, "users", len(parsed.Users), "groups", len(parsed.Groups))
}

// fail logs an error once, not with each Pod.
func (s *source) fail(err error) {
	if s.err == nil || s.err.Error() != err.Error() {
		slog.Error("profiles are unusable", "err", err, "last_good_in_force", s.parsed != nil)
	}
	s.err = err
}

// valid is 1 if the file as it is now is in force, else 0.
func (s *source) valid() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.load(); s.err != nil {
		return 0
	}
	return 1
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBytes:
		return nil, fmt.Errorf("%s is larger than %d MiB", file, maxBytes>>20)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s is empty: want at least unknownUsers", file)
	}
	return text, nil
}
