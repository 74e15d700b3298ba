package reload_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/internal/reload"
)

// pair is the value of two files that belong together, as a certificate and its key do.
func pair(contents [][]byte) (string, error) {
	if len(contents[0]) == 0 || !bytes.Equal(contents[0], contents[1]) {
		return "", fmt.Errorf("%s is not of %s", contents[1], contents[0])
	}
	return string(contents[0]), nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	write(t, cert, "one")
	write(t, key, "one")
	var failures []string
	files, err := reload.New(pair, func(err error) { failures = append(failures, err.Error()) }, cert, key)
	if err != nil {
		t.Fatal(err)
	}

	steps := []struct {
		name     string
		change   func()
		want     string
		wantErr  string // of Load, and what the callback was told if wantTold
		wantTold bool
	}{
		{name: "as they were read first", change: func() {}, want: "one"},
		{name: "half of the pair is replaced: the last good value stays", change: func() { write(t, cert, "two") },
			want: "one", wantErr: "one is not of two", wantTold: true},
		{name: "and is complained of once only", change: func() {}, want: "one", wantErr: "one is not of two"},
		{name: "touched, not changed: nothing new to say", change: func() {
			soon := time.Now().Add(time.Hour)
			if err := os.Chtimes(cert, soon, soon); err != nil {
				t.Fatal(err)
			}
		}, want: "one", wantErr: "one is not of two"},
		{name: "the other half follows, of the same size and within a tick of the clock", change: func() { write(t, key, "two") }, want: "two"},
		{name: "a file is gone", change: func() { os.Remove(key) }, want: "two", wantErr: "no such file", wantTold: true},
		{name: "and is still gone", change: func() {}, want: "two", wantErr: "no such file"},
		{name: "it is back", change: func() { write(t, key, "two") }, want: "two"},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			failures = nil
			step.change()
			got, err := files.Load()
			if got != step.want {
				t.Errorf("value %q, want %q", got, step.want)
			}
			if again := files.Get(); again != step.want {
				t.Errorf("Get: %q, want %q", again, step.want)
			}
			if step.wantErr == "" && err != nil || step.wantErr != "" && (err == nil || !strings.Contains(err.Error(), step.wantErr)) {
				t.Errorf("error %v, want %q", err, step.wantErr)
			}
			if told := len(failures) == 1; told != step.wantTold || len(failures) > 1 {
				t.Errorf("told of %q, want %t", failures, step.wantTold)
			}
		})
	}
}

// A kubelet changes a volume by swapping the link ..data; size and time of the file may stay as they are.
func TestLinkIsSwapped(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "token"), "token "+version)
		if err := os.Chtimes(filepath.Join(dir, version, "token"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	point := func(version string) {
		if err := os.Symlink(version, filepath.Join(dir, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	point("v1")
	if err := os.Symlink("..data/token", filepath.Join(dir, "token")); err != nil {
		t.Fatal(err)
	}
	parses := 0
	files, err := reload.New(func(contents [][]byte) (string, error) {
		parses++
		return string(contents[0]), nil
	}, nil, filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := files.Get(); got != "token v1" {
			t.Errorf("value %q", got)
		}
	}
	point("v2")
	for range 3 {
		if got := files.Get(); got != "token v2" {
			t.Errorf("value %q after the swap", got)
		}
	}
	if parses != 2 {
		t.Errorf("parsed %d times, want once for each version", parses)
	}
}

func TestFirstReadingFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	parse := func([][]byte) (string, error) { return "", errors.New("is empty") }
	told := func(error) { t.Error("the first failure is the caller's, not the callback's") }
	if _, err := reload.New(parse, told, path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: error %v, want one that names it", err)
	}
	write(t, path, "")
	if _, err := reload.New(parse, told, path); err == nil || err.Error() != "is empty" {
		t.Errorf("error %v, want that of parse", err)
	}
}

// A call while another one parses gets the value from before, at once.
func TestSlowParseBlocksNoOtherCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "one")
	parsing, finish := make(chan struct{}), make(chan struct{})
	files, err := reload.New(func(contents [][]byte) (string, error) {
		if string(contents[0]) == "two" {
			close(parsing)
			<-finish
		}
		return string(contents[0]), nil
	}, nil, path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "two")
	slow := make(chan string)
	go func() { slow <- files.Get() }()
	<-parsing
	if got := files.Get(); got != "one" {
		t.Errorf("value %q while another parses, want the one before", got)
	}
	close(finish)
	if got := <-slow; got != "two" {
		t.Errorf("value %q for the call that parsed", got)
	}
	if got := files.Get(); got != "two" {
		t.Errorf("value %q after", got)
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "0")
	write(t, b, "0")
	files, err := reload.New(pair, nil, a, b)
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 500 {
				if files.Get() == "" {
					t.Error("no value")
				}
			}
		})
	}
	for i := range 50 {
		write(t, a, fmt.Sprint(i))
		write(t, b, fmt.Sprint(i))
	}
	readers.Wait()
	if got := files.Get(); got != "49" {
		t.Errorf("value %q in the end, want 49", got)
	}
}

func BenchmarkGet(b *testing.B) {
	path := filepath.Join(b.TempDir(), "token")
	if err := os.WriteFile(path, []byte("token"), 0o600); err != nil {
		b.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		b.Fatal(err)
	}
	files, err := reload.New(func(contents [][]byte) (string, error) { return string(contents[0]), nil }, nil, path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		files.Get()
	}
}
