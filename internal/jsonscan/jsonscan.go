// Package jsonscan reads JSON once, from its beginning to its end, and takes from it what the caller asks for. It makes no
// tree of it and copies nothing. Pure.
package jsonscan

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// A Scanner reads JSON once, from its beginning to its end. Each value must be read by one of its methods: those for one type
// skip a value of another type. After the first fault of the text, all that it reads is empty.
type Scanner struct {
	dec *jsontext.Decoder
	// text is that of dec, of which all strings are slices. A copy would keep each text in memory twice. None is needed,
	// because nothing writes to a text while it is read, or afterwards.
	text string
	err  error
}

// decoders are kept for their stacks, which grow with the depth of what they read.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// New returns a Scanner of text, which must not be written to afterwards. [Scanner.End] must be called in the end.
func New(text []byte) *Scanner {
	dec := decoders.Get().(*jsontext.Decoder)
	// A bytes.Buffer is read where it is. Names that come twice, and bytes that are not UTF-8, are for those to judge who use
	// the values. The decoder reads at most 10,000 levels.
	dec.Reset(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return &Scanner{dec: dec, text: String(text)}
}

// At reports whether the next value begins with a byte of this kind.
func (s *Scanner) At(kind jsontext.Kind) bool { return s.err == nil && s.dec.PeekKind() == kind }

// Object reads an object. It calls member with each name, and member reads the value.
func (s *Scanner) Object(member func(name string)) {
	if !s.At('{') {
		s.Skip()
		return
	}
	for s.token(); s.err == nil && s.dec.PeekKind() != '}'; {
		if name := s.Text(); s.err == nil {
			member(name)
		}
	}
	s.token()
}

// Array reads an array. It calls element before each element, and element reads it.
func (s *Scanner) Array(element func()) {
	if !s.At('[') {
		s.Skip()
		return
	}
	for s.token(); s.err == nil && s.dec.PeekKind() != ']'; {
		element()
	}
	s.token()
}

// Text reads a string, without its escapes.
func (s *Scanner) Text() string {
	v := s.value()
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	if strings.IndexByte(v, '\\') >= 0 {
		b, _ := jsontext.AppendUnquote(nil, v) // what is wrong with it is U+FFFD
		return string(b)
	}
	return v[1 : len(v)-1]
}

// True reads a value, and reports whether it is true.
func (s *Scanner) True() bool { return s.value() == "true" }

// Raw reads a value, and returns it byte by byte. No code may append to it, because the rest of the text follows. It is nil
// after a fault.
func (s *Scanner) Raw() []byte {
	v := s.value()
	if v == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(v), len(v))
}

// Within calls read, which reads one value by the other methods. It returns that value as Raw does.
func (s *Scanner) Within(read func()) []byte {
	start := s.dec.InputOffset() // the end of what was read before
	read()
	if s.err != nil {
		return nil
	}
	v := strings.TrimLeft(s.text[start:s.dec.InputOffset()], " \t\r\n,:")
	return unsafe.Slice(unsafe.StringData(v), len(v))
}

func (s *Scanner) value() string {
	if s.err != nil {
		return ""
	}
	v, err := s.dec.ReadValue()
	if s.err = err; err != nil {
		return ""
	}
	end := s.dec.InputOffset()
	return s.text[end-int64(len(v)) : end]
}

// Skip reads a value that is of no interest.
func (s *Scanner) Skip() {
	if s.err == nil {
		_, s.err = s.dec.ReadValue() // SkipValue takes longer: it goes token by token
	}
}

func (s *Scanner) token() {
	if s.err == nil {
		_, s.err = s.dec.ReadToken()
	}
}

// End reports whether the text was valid, and ends here. The scanner cannot be used afterwards.
func (s *Scanner) End() bool {
	valid := s.err == nil
	if valid {
		_, err := s.dec.ReadToken()
		valid = errors.Is(err, io.EOF)
	}
	s.dec.Reset(new(bytes.Buffer)) // it must not keep the text
	decoders.Put(s.dec)
	return valid
}

// Valid reports whether text is one JSON value. It decides as encoding/json does, in a third of the time.
func Valid(text []byte) bool {
	return jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// String returns text as a string, without a copy. No code may write to text afterwards.
func String(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }
