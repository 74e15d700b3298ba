package sqlite

import (
	"strconv"
	"strings"
)

// A call is one call of an endpoint, as the charts count it.
type call struct {
	endpoint int64 // its term
	ms       float64
	failed   bool
}

// formatCalls writes what the charts of a filtered view need, which is quicker to read than the item.
func formatCalls(calls []call) string {
	var b []byte
	for _, c := range calls {
		b = strconv.AppendInt(b, c.endpoint, 10)
		b = append(b, ' ')
		b = strconv.AppendFloat(b, c.ms, 'f', 3, 64)
		if c.failed {
			b = append(b, " x"...)
		}
		b = append(b, ';')
	}
	return string(b)
}

func parseCalls(text string) []call {
	var calls []call
	for one := range strings.SplitSeq(text, ";") {
		endpoint, rest, ok := strings.Cut(one, " ")
		if !ok {
			continue
		}
		ms, failed, _ := strings.Cut(rest, " ")
		var c call
		c.endpoint, _ = strconv.ParseInt(endpoint, 10, 64)
		c.ms, _ = strconv.ParseFloat(ms, 64)
		c.failed = failed != ""
		calls = append(calls, c)
	}
	return calls
}
