package jsontree

import (
	"strconv"
	"strings"
)

// maxCompared bounds the comparison of two values that nest deeper than encoding/json reads.
const maxCompared = 10_000

// Same reports whether two values mean the same: the order of members, white space, the spelling of strings
// and of numbers (1, 1.0) make no difference. An absent value is the same as an absent value only.
func Same(a, b *Node) bool { return same(a, b, 0) }

func same(a, b *Node, level int) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || level > maxCompared {
		return false
	}
	if !a.editable && !b.editable && a.raw == b.raw {
		return true
	}
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case Object:
		return sameMembers(a, b, level)
	case List:
		as, bs := a.List(), b.List()
		if len(as) != len(bs) {
			return false
		}
		for i := range as {
			if !same(as[i], bs[i], level+1) {
				return false
			}
		}
		return true
	case String:
		return unquote(a.raw) == unquote(b.raw)
	case Number:
		return sameNumber(a.raw, b.raw)
	}
	return false // the texts of literals were compared above
}

func sameMembers(a, b *Node, level int) bool {
	a.expand()
	b.expand()
	inBoth := 0
	for i := range a.members {
		m := &a.members[i]
		if m.value == nil {
			continue
		}
		at := i // its position in most cases
		if at >= len(b.members) || b.members[at].value == nil || b.members[at].key != m.key {
			if at = b.Find(m.key); at < 0 {
				return false
			}
		}
		if !same(m.value, b.members[at].value, level+1) {
			return false
		}
		inBoth++
	}
	inB := 0
	for i := range b.members {
		if b.members[i].value != nil {
			inB++
		}
	}
	return inBoth == inB
}

// sameNumber compares digits, not floats: 9007199254740993 is not 9007199254740992.
func sameNumber(a, b string) bool {
	digitsA, exponentA, okA := decimal(a)
	digitsB, exponentB, okB := decimal(b)
	return okA && okB && digitsA == digitsB && exponentA == exponentB
}

// decimal splits a number into its digits, with their sign and without a zero at either end, and the power of
// ten to multiply them with.
func decimal(s string) (digits string, exponent int, ok bool) {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		var err error
		if exponent, err = strconv.Atoi(s[at+1:]); err != nil {
			return "", 0, false
		}
		s = s[:at]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	if short := strings.TrimRight(digits, "0"); short != digits {
		exponent += len(digits) - len(short)
		digits = short
	}
	if digits == "" {
		return "0", 0, true
	}
	return sign + digits, exponent, true
}
