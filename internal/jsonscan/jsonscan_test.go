package jsonscan_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/jsonscan"
)

// read reads a value by the methods for its type, and writes what they return.
func read(s *jsonscan.Scanner, b *strings.Builder) {
	switch {
	case s.At('{'):
		b.WriteByte('{')
		s.Object(func(name string) {
			fmt.Fprintf(b, "%q:", name)
			read(s, b)
		})
		b.WriteByte('}')
	case s.At('['):
		b.WriteByte('[')
		s.Array(func() { read(s, b) })
		b.WriteByte(']')
	case s.At('"'):
		fmt.Fprintf(b, "%q", s.Text())
	case s.At('t'), s.At('f'):
		fmt.Fprint(b, s.True())
	default:
		b.Write(s.Raw())
	}
	b.WriteByte(',')
}

func TestScanner(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":[1,"x",null,true, false],"b":{}}`: `{"a":[1,"x",null,true,false,],"b":{},},`,
		` { "a" : "\u0061\n" } `:                `{"a":"a\n",},`,
		`"\ud800"`:                              `"` + "\ufffd" + `",`,
		`[[],[[]]]`:                             `[[],[[],],],`,
		`{"a":1,"a":2}`:                         `{"a":1,"a":2,},`,
	} {
		t.Run(text, func(t *testing.T) {
			var b strings.Builder
			s := jsonscan.New([]byte(text))
			read(s, &b)
			if !s.End() || b.String() != want {
				t.Errorf("read %s", b.String())
			}
		})
	}
}

func TestScannerOfAnotherType(t *testing.T) {
	for _, value := range []string{`1`, `"x"`, `null`, `true`, `{"a":1}`, `[1]`} {
		t.Run(value, func(t *testing.T) {
			s := jsonscan.New([]byte(`[` + strings.Repeat(value+`,`, 4) + `7]`))
			number := 0
			s.Array(func() {
				switch number++; number {
				case 1:
					if got := s.Text(); got != "" && value != `"x"` {
						t.Errorf("the text is %q", got)
					}
				case 2:
					if got := s.True(); got != (value == `true`) {
						t.Errorf("it is true: %v", got)
					}
				case 3:
					s.Object(func(string) {
						if s.Skip(); value[0] != '{' {
							t.Error("it has members")
						}
					})
				case 4:
					s.Array(func() {
						if s.Skip(); value[0] != '[' {
							t.Error("it has elements")
						}
					})
				default:
					if got := string(s.Raw()); got != `7` {
						t.Errorf("then comes %s", got)
					}
				}
			})
			if !s.End() || number != 5 {
				t.Errorf("%d elements", number)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	s := jsonscan.New([]byte(`[ 1 , {"a" : [ 2 ] } , "x"]`))
	var values []string
	s.Array(func() { values = append(values, string(s.Within(func() { s.Object(func(string) { s.Skip() }) }))) })
	if got := strings.Join(values, "|"); !s.End() || got != `1|{"a" : [ 2 ] }|"x"` {
		t.Error(got)
	}
}

// TestScannerEnds: also of what is not JSON, every loop over members and elements ends.
func TestScannerEnds(t *testing.T) {
	for _, text := range []string{``, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `[`, `[1`, `[1,`, `[1,]`, `"x`, `tru`, `1 2`, `}`, strings.Repeat(`[`, 20_000)} {
		s := jsonscan.New([]byte(text))
		if read(s, &strings.Builder{}); s.End() {
			t.Errorf("%.20q is valid", text)
		}
	}
}

// FuzzScan holds Valid and the scanner against encoding/json: they take the same texts for JSON, and read the same from them.
func FuzzScan(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,"x",null,true],"b":{}}`, `{"a":1,"a":2}`, "\"\xff\"", `"\ud800\u0041"`, `-0`, `1e400`, `01`, `"` + "\x01" + `"`, ` 1 `, `1 2`, ``, `"\u00e`,
		strings.Repeat(`[`, 10_001) + strings.Repeat(`]`, 10_001), strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000), "\ufeff1",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := json.Valid(text)
		if got := jsonscan.Valid(text); got != want {
			t.Fatalf("valid: %v; encoding/json says %v", got, want)
		}
		s := jsonscan.New(text)
		value := rebuild(s)
		if s.End() != want {
			t.Fatalf("the scanner does not say valid: %v", want)
		}
		if !want {
			return
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			return // a number out of range
		}
		if got, want := fmt.Sprintf("%q", value), fmt.Sprintf("%q", plain); got != want {
			t.Errorf("read %s; encoding/json reads %s", got, want)
		}
	})
}

// rebuild reads a value as encoding/json does.
func rebuild(s *jsonscan.Scanner) (value any) {
	switch {
	case s.At('{'):
		members := map[string]any{}
		s.Object(func(name string) { members[toUTF8(name)] = rebuild(s) })
		return members
	case s.At('['):
		elements := []any{}
		s.Array(func() { elements = append(elements, rebuild(s)) })
		return elements
	case s.At('"'):
		return toUTF8(s.Text())
	}
	_ = json.Unmarshal(s.Raw(), &value)
	return value
}

// toUTF8 replaces each byte that is not UTF-8, as encoding/json does.
func toUTF8(text string) string { return string([]rune(text)) }
