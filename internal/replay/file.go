package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxEvent bounds the bytes of one recorded event. amp's queue holds no event of more than 16 MiB.
const maxEvent = 32 << 20

// Recorded is one event, as its source has it.
type Recorded struct {
	JSON  []byte
	Where string // "line 7": names what cannot be read
	// Superseded says that the source knows of an event that supersedes this one.
	Superseded bool
}

// Source is where recorded events come from.
type Source interface {
	// Next returns the next event, and io.EOF behind the last one. Another error ends the replay.
	Next(ctx context.Context) (Recorded, error)
}

// NewReader reads events from a file: one a line, as amp prints them and the audit function exports them, or JSON values
// over several lines, or arrays of them. It looks at the first line to learn whether each line is an event.
func NewReader(r io.Reader) Source {
	return &file{r: bufio.NewReaderSize(r, 256<<10)}
}

// errTooMuch ends what is larger than allowed.
var errTooMuch = errors.New("it is larger than allowed")

// limited is a reader that ends with errTooMuch after so many bytes.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooMuch
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// file reads events of a file.
type file struct {
	r     *bufio.Reader
	count int // lines or values that were read

	opened  bool
	values  *json.Decoder // nil if each line is a value
	bound   *limited      // of values
	inArray bool
}

func (f *file) Next(ctx context.Context) (Recorded, error) {
	if !f.opened {
		f.opened = true
		if err := f.open(); err != nil {
			return Recorded{}, err
		}
	}
	if f.values != nil {
		return f.nextValue()
	}
	for {
		line, err := f.line(ctx)
		if err != nil {
			return Recorded{}, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return Recorded{JSON: line, Where: fmt.Sprintf("line %d", f.count)}, nil
		}
	}
}

// open finds out whether each line is a value. It is not in an array, nor where the first line holds no more than a brace.
func (f *file) open() error {
	if mark, _ := f.r.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = f.r.Discard(3)
	}
	for {
		c, err := f.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the events: %w", err)
		case c == '\n':
			f.count++
			continue
		case c == ' ', c == '\t', c == '\r':
			continue
		}
		if err := f.r.UnreadByte(); err != nil {
			return err
		}
		start, _ := f.r.Peek(64)
		first, _, whole := bytes.Cut(start, []byte("\n"))
		if c == '[' || whole && string(bytes.TrimSpace(first)) == "{" {
			f.bound = &limited{f.r, maxEvent}
			f.values = json.NewDecoder(f.bound)
		}
		return nil
	}
}

// nextValue returns the next JSON value: the next one of an array, or of a file whose values have several lines. Arrays and
// values may follow each other, as where files were put together. After a syntax error it cannot go on.
func (f *file) nextValue() (Recorded, error) {
	for {
		f.bound.left = maxEvent
		more := f.values.More()
		switch {
		case f.inArray && !more:
			if _, err := f.values.Token(); err != nil {
				return Recorded{}, fmt.Errorf("the array of events does not end: %v", err)
			}
			f.inArray = false
			continue
		case !f.inArray && more && f.atArray():
			if _, err := f.values.Token(); err != nil {
				return Recorded{}, err
			}
			f.inArray = true
			continue
		}
		var value json.RawMessage
		switch err := f.values.Decode(&value); {
		case errors.Is(err, io.EOF) && !f.inArray:
			return Recorded{}, io.EOF
		case err != nil:
			return Recorded{}, fmt.Errorf("event %d of the file is not JSON, at byte %d: %w", f.count+1, f.values.InputOffset(), err)
		}
		f.count++
		return Recorded{JSON: value, Where: fmt.Sprintf("event %d", f.count)}, nil
	}
}

// atArray reports whether an array comes next. What comes next is in the buffer: the decoder has just looked at it.
func (f *file) atArray() bool {
	next := bufio.NewReader(f.values.Buffered())
	for {
		switch c, err := next.ReadByte(); {
		case err != nil:
			return false
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return c == '['
		}
	}
}

// line returns the next line. Of one that is too long it returns no more than the beginning, which is not JSON.
func (f *file) line(ctx context.Context) ([]byte, error) {
	var line []byte
	for {
		if err := ctx.Err(); err != nil { // a line may never end
			return nil, err
		}
		part, err := f.r.ReadSlice('\n')
		if len(line) < maxEvent {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			f.count++
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("reading the events: %w", err)
		}
	}
}
