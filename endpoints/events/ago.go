package events

import (
	"strconv"
	"strings"
	"time"
)

// ParseAgo reads how long ago something was, as the filters from and to of the audit function have it: a Go duration, or
// whole days or weeks (7d, 2w), fewer than 5000 of them. ok is false for anything else, and for a negative one.
func ParseAgo(text string) (ago time.Duration, ok bool) {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"d", day}, {"w", 7 * day}} {
		if number, is := strings.CutSuffix(text, unit.name); is {
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 || n >= 5000 {
				return 0, false
			}
			return time.Duration(n) * unit.length, true
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return 0, false
	}
	return ago, true
}
