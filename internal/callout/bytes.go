package callout

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// byteOrderMark is U+FEFF in UTF-8. amp ignores one before the text, as RFC 8259, section 8.1 allows: .NET writes it.
const byteOrderMark = "\uFEFF"

// textOf returns the text of a body: UTF-8, without a byte order mark. An error completes the sentence "answered 200
// with".
func textOf(header http.Header, body []byte) ([]byte, error) {
	if err := compressed(header, body); err != nil {
		return nil, err
	}
	if !utf8.Valid(body) {
		if coding := wide(body); coding != "" {
			return nil, inWide(coding)
		}
		for coding := range contentCodings(header) {
			if coding != "" && coding != "identity" {
				return nil, encoded(coding)
			}
		}
		at := badByte(body)
		if !utf8.FullRune(body[at:]) {
			return nil, fmt.Errorf("a body that ends at %s, in the middle of a character; does Content-Length count bytes?", place(body, at))
		}
		remedy := "encode it as UTF-8"
		if unprintable(body) {
			remedy = "is it compressed, or not text? answer JSON in UTF-8"
		}
		return nil, fmt.Errorf("a body that is not UTF-8: its byte %d (%s) is 0x%02X; %s", at+1, place(body, at), body[at], remedy)
	}
	return bytes.TrimPrefix(body, []byte(byteOrderMark)), nil
}

// codings are the content codings that a server may use (IANA's registry of HTTP parameters); amp reads none of them.
// Others, such as the "utf-8" that some handlers write there, do not matter if the body is JSON.
var codings = []string{"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "x-compress", "x-gzip", "zstd"}

// compressed returns an error if a body is compressed, by its header or by its first bytes.
func compressed(header http.Header, body []byte) error {
	if len(body) == 0 {
		return nil
	}
	for coding := range contentCodings(header) {
		if slices.Contains(codings, coding) {
			return encoded(coding)
		}
	}
	for _, magic := range []struct{ name, bytes string }{
		{"gzip", "\x1f\x8b"},
		{"zstd", "\x28\xb5\x2f\xfd"},
		{"deflate", "\x78\x01"}, {"deflate", "\x78\x5e"}, {"deflate", "\x78\x9c"}, {"deflate", "\x78\xda"}, // zlib's levels, RFC 1950
	} {
		// "x^" begins a text, too; what is compressed is hardly ever UTF-8.
		if strings.HasPrefix(string(body[:min(len(body), 4)]), magic.bytes) && !utf8.Valid(body) {
			return fmt.Errorf("a body compressed with %s: answer uncompressed", magic.name)
		}
	}
	return nil
}

func encoded(coding string) error {
	return fmt.Errorf("a body with Content-Encoding %s: answer uncompressed, without that header", headerText(coding))
}

// contentCodings yields what Content-Encoding says, in lower case.
func contentCodings(header http.Header) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range header["Content-Encoding"] {
			for coding := range strings.SplitSeq(line, ",") {
				if !yield(strings.ToLower(strings.TrimSpace(coding))) {
					return
				}
			}
		}
	}
}

// wide returns the name of an encoding in which each character of ASCII has more than one byte; it is empty if text is
// in none. JSON begins with two characters of ASCII, so the zero bytes among the first four tell the encoding, as RFC
// 4627, section 3 says.
func wide(text []byte) string {
	begins := func(prefix string) bool { return bytes.HasPrefix(text, []byte(prefix)) }
	zero := func(i int) bool { return i < len(text) && text[i] == 0 }
	switch {
	case begins("\xff\xfe\x00\x00"), begins("\x00\x00\xfe\xff"), zero(1) && zero(2), zero(0) && zero(1):
		return "UTF-32"
	case begins("\xff\xfe"), begins("\xfe\xff"), zero(0) != zero(1):
		return "UTF-16"
	}
	return ""
}

func inWide(coding string) error {
	return errors.New("a body in " + coding + "; encode it as UTF-8")
}

// badByte returns the index of the first byte that is not UTF-8. There must be one.
func badByte(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(text)
}

// place says where a byte of a text is: the line, and the character of it, both counted from 1.
func place(text []byte, i int) string {
	before := text[:i]
	line := bytes.Count(before, []byte("\n"))
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("line %d, column %d", line+1, column+1)
}

// headerText is the value of a header that the endpoint chose, as a message shows it.
func headerText(value string) string {
	return review.Clip(review.Line(strings.ToValidUTF8(value, "")), 60)
}
