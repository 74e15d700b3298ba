package rules

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

// The bounds of a quantity. Kubernetes' own parser works out the power of ten: "1e-99999999" takes it a minute.
const (
	maxQuantity = 64 // characters
	maxExponent = 2  // digits, without zeros before them
)

// slowQuantities refuses a quantity that takes long to read. It is judged before anything reads the quantity: amp's own
// check, or the API server. An API server sends no Pod with one, but someone else may, and then amp's check reads what the
// ops move, copy or test.
func slowQuantities(c *apply.Change, _ *Settings) (found []Finding) {
	at := slices.IndexFunc(c.Given, func(op review.Op) bool { return maybeSlow(&op) })
	if at < 0 {
		return nil
	}
	for _, pod := range []*jsontree.Node{c.After, c.Before} {
		eachQuantity(pod, apply.PodSchema(), "", 0, false, func(n *jsontree.Node, field string, op int) {
			if problem := slow(quantityText(n)); problem != "" && found == nil {
				found = refuse(cmp.Or(op, at+1), field+" "+problem)
			}
		})
	}
	return found
}

// slow says why a quantity would take long to read, "" if it would not.
func slow(text string) string {
	if len(text) > maxQuantity {
		return "must be a quantity of at most " + strconv.Itoa(maxQuantity) + " characters"
	}
	// Without a digit before its exponent it is 0, whatever the exponent is, and Kubernetes' parser sees that at once.
	if at := strings.IndexAny(text, "eE"); at >= 0 && strings.ContainsAny(text[:at], "0123456789") && len(strings.TrimLeft(strings.TrimLeft(text[at+1:], "+-"), "0")) > maxExponent {
		return `must not have an exponent of more than ` + strconv.Itoa(maxExponent) + ` digits: write a number and a unit, such as "500m", "1Gi" or "1G"`
	}
	return ""
}

// maybeSlow reports whether an op may bring a slow quantity. Most do not, and then nothing more has to be read. A move or a
// copy may bring text from a field where it is not a quantity.
func maybeSlow(op *review.Op) bool {
	if op.Op == "move" || op.Op == "copy" || bytes.Contains(op.Value, []byte(`\u`)) {
		return true
	}
	digits := 0 // in a row, with what else a number may have
	for i, c := range op.Value {
		switch {
		case '0' <= c && c <= '9', c == '.', c == '+', c == '-':
			digits++
		case (c == 'e' || c == 'E') && digits > 0:
			exponent := bytes.TrimLeft(op.Value[i+1:], "+-")
			if len(exponent) > maxExponent && !bytes.ContainsFunc(exponent[:maxExponent+1], notDigit) {
				return true
			}
			digits++
		default:
			digits = 0
		}
		if digits > maxQuantity-2 {
			return true
		}
	}
	return false
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

var quantityType = reflect.TypeFor[resource.Quantity]()

// eachQuantity calls f for each value that stands where the schema has a quantity, if an op put it there or needs it. It
// is in a value that the op of that number, 0 for none, put there, and that an op needs if needed.
func eachQuantity(n *jsontree.Node, s *apply.Schema, field string, op int, needed bool, f func(n *jsontree.Node, field string, op int)) {
	if n.Op() != 0 {
		op = n.Op()
	}
	inside, whole := n.Needed()
	needed = needed || whole
	switch {
	case op == 0 && !needed && !inside && n.Untouched():
	case s.Opaque:
		if s.Type == quantityType && (op != 0 || needed) {
			f(n, field, op)
		}
	case s.Fields != nil || s.Elem != nil && n.Kind() == jsontree.Object:
		n.Each(func(key string, child *jsontree.Node) {
			at, in := strings.TrimPrefix(field+"."+apply.Key(key), "."), s.Fields[key]
			if s.Elem != nil {
				at, in = field+"["+apply.Quote(key)+"]", s.Elem
			}
			if in != nil {
				eachQuantity(child, in, at, op, needed, f)
			}
		})
	case s.Elem != nil && n.Kind() == jsontree.List:
		for i, element := range n.List() {
			eachQuantity(element, s.Elem, field+"["+strconv.Itoa(i)+"]", op, needed, f)
		}
	}
}

// quantityText is the text of a quantity: JSON may have it as a string or as a number.
func quantityText(n *jsontree.Node) string {
	if n.Kind() == jsontree.Number {
		return string(n.AppendJSON(nil))
	}
	return n.Text()
}
