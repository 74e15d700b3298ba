package store

import (
	"strconv"
	"strings"
)

// A Position is a place in the order of arrival. Only the store that made it can read it. Empty: the present.
type Position string

// NewPosition names the event with a number in the order of arrival. The epoch distinguishes it from those of another
// database.
func NewPosition(epoch string, seq int64) Position {
	return Position(epoch + "-" + strconv.FormatInt(seq, 10))
}

// Seq returns the number that p names, or ErrPosition if p is not one of the epoch, or is after the newest.
func (p Position) Seq(epoch string, newest int64) (int64, error) {
	of, text, _ := strings.Cut(string(p), "-")
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || of != epoch || seq < 0 || seq > newest {
		return 0, ErrPosition
	}
	return seq, nil
}
