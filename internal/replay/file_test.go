package replay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/txn2/amp/internal/replay"
)

// all reads a source to its end. The result has each event and where it was.
func all(t *testing.T, source replay.Source) (read string, err error) {
	t.Helper()
	for {
		switch event, err := source.Next(t.Context()); {
		case errors.Is(err, io.EOF):
			return read, nil
		case err != nil:
			return read, err
		default:
			read += fmt.Sprintf("%s: %s; ", event.Where, strings.Join(strings.Fields(string(event.JSON)), ""))
		}
	}
}

// TestFiles: events are read in each form in which they are kept.
func TestFiles(t *testing.T) {
	for name, c := range map[string]struct{ file, read, err string }{
		"one a line":                       {"{\"a\":1}\n{\"b\":2}\n", `line 1: {"a":1}; line 2: {"b":2}; `, ""},
		"the last line has no end":         {"{\"a\":1}\n{\"b\":2}", `line 1: {"a":1}; line 2: {"b":2}; `, ""},
		"blank lines, CR and a mark":       {"\xef\xbb\xbf\r\n\r\n{\"a\":1}\r\n\n  \n{\"b\":2}\r\n", `line 3: {"a":1}; line 6: {"b":2}; `, ""},
		"a line that is not JSON":          {"{\"a\":1}\nDefaulted container\n{\"b\":\n{\"c\":3}\n", `line 1: {"a":1}; line 2: Defaultedcontainer; line 3: {"b":; line 4: {"c":3}; `, ""},
		"an array":                         {" [ {\"a\":1},\n{\"b\":2} ]\n", `event 1: {"a":1}; event 2: {"b":2}; `, ""},
		"an empty array":                   {"[]", "", ""},
		"values of several lines":          {"{\n  \"a\": 1\n}\n{\n  \"b\": 2\n}\n", `event 1: {"a":1}; event 2: {"b":2}; `, ""},
		"two arrays":                       {"[{\"a\":1}]\n[{\"b\":2},{\"c\":3}]\n", `event 1: {"a":1}; event 2: {"b":2}; event 3: {"c":3}; `, ""},
		"arrays without a blank":           {"[][{\"a\":1}][][[{\"b\":2}]]", `event 1: {"a":1}; event 2: [{"b":2}]; `, ""},
		"an array, then one a line":        {"[{\"a\":1}]\n{\"b\":2}\n{\"c\":3}\n", `event 1: {"a":1}; event 2: {"b":2}; event 3: {"c":3}; `, ""},
		"values of lines, then an array":   {"{\n  \"a\": 1\n}\n[{\"b\":2},{\"c\":3}]\n{\"d\":4}", `event 1: {"a":1}; event 2: {"b":2}; event 3: {"c":3}; event 4: {"d":4}; `, ""},
		"text behind an array":             {"[{\"a\":1}] and more", `event 1: {"a":1}; `, "event 2 of the file is not JSON, at byte "},
		"a brace behind an array":          {"[{\"a\":1}]]", `event 1: {"a":1}; `, "event 2 of the file is not JSON, at byte "},
		"arrays, the second is cut off":    {`[{"a":1}][{"b":2}`, `event 1: {"a":1}; event 2: {"b":2}; `, "the array of events does not end"},
		"an array that is cut off":         {`[{"a":1},{"b":`, `event 1: {"a":1}; `, "event 2 of the file is not JSON, at byte "},
		"an array that does not end":       {`[{"a":1}`, `event 1: {"a":1}; `, "the array of events does not end"},
		"a value of lines that is cut off": {"{\n\"a\": 1\n}\n{\n", `event 1: {"a":1}; `, "event 2 of the file is not JSON"},
		"nothing":                          {"", "", ""},
		"no more than blanks":              {" \n\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for form, r := range map[string]io.Reader{"": strings.NewReader(c.file), "byte by byte": iotest.OneByteReader(strings.NewReader(c.file))} {
				read, err := all(t, replay.NewReader(r))
				if read != c.read || (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
					t.Errorf("%s read %s, error %v", form, read, err)
				}
			}
		})
	}
	if _, err := all(t, replay.NewReader(iotest.ErrReader(errors.New("no disk")))); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("error %v", err)
	}
}

// endless is a file with a text that repeats for 100 MiB.
type endless struct {
	begin, text string
	read        int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.begin != "" {
		n := copy(p, e.begin)
		e.begin = e.begin[n:]
		return n, nil
	}
	if e.read > 100<<20 {
		return 0, io.EOF
	}
	n := 0
	for n+len(e.text) <= len(p) {
		n += copy(p[n:], e.text)
	}
	e.read += n
	return n, nil
}

// TestOneEventHasABound: a line or a value without an end does not fill the memory.
func TestOneEventHasABound(t *testing.T) {
	line, err := replay.NewReader(&endless{text: "x"}).Next(t.Context())
	if err != nil || len(line.JSON) > 33<<20 {
		t.Errorf("a line of %d bytes: %v", len(line.JSON), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := replay.NewReader(&endless{text: "x"}).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the interrupt: %v", err)
	}
	for name, begin := range map[string]string{"in an array": `["`, "of several lines": "{\n\"a\": \""} {
		if _, err := replay.NewReader(&endless{begin: begin, text: "x"}).Next(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than allowed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
