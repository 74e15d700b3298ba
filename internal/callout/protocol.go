package callout

import "strings"

// protocolCause says what is wrong with an answer that net/http cannot read; it is empty if the error is another one.
// net/http has no types for these errors. Their texts are not shown: they quote the answer.
func protocolCause(err error) string {
	text := err.Error()
	holds := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	switch {
	case holds("multiple Content-Length"):
		return "its answer has two Content-Length headers that differ: send one"
	case holds("Content-Length"):
		return "its answer has a Content-Length that is not a number"
	case holds("transfer encoding"):
		return "its answer has a Transfer-Encoding that amp does not know: send chunked, or a Content-Length"
	case holds("chunk"):
		return "its answer says Transfer-Encoding: chunked, but its body is not in chunks"
	case holds(`malformed HTTP response "\x15\x03`):
		return "its answer is not HTTP but TLS: use https://, or its port for plain HTTP"
	case holds("malformed MIME header"):
		return "its answer has a header that is not one: does an empty line stand between the header and the body?"
	case holds("malformed HTTP"):
		return "its answer is not HTTP: it does not begin with a status line; does the handler end the header before it writes the body?"
	case holds("malformed", "invalid", "unsupported"):
		return "its answer is not HTTP"
	}
	return ""
}
