package replay

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/redact"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/tryout"
)

// finding is what differs about one Pod, of one kind.
type finding struct {
	kind  string   // the same for other Pods with such a difference
	words []string // for this Pod
}

const (
	maxWords = 5  // of one kind about one Pod
	maxValue = 80 // characters of a value
)

// judge says how an answer stands to what was recorded, and what differs. Values that an event of level Patch does not show
// are hidden unless all is set.
func judge(r *recorded, a *tryout.Answer, all bool) (Verdict, []finding) {
	c := compare.Outcomes(outcome(r.outcome, r.after), outcome(a.Outcome, a.Pod))
	switch c.Verdict {
	case compare.Same:
		return Same, nil
	case compare.FirstDenies:
		return NoLongerDenied, said(r, "then: ", r.message)
	case compare.SecondDenies:
		return NewlyDenied, said(r, "now: ", a.Message)
	case compare.SecondFailed:
		return NewlyFails, said(r, "now: ", a.Message)
	case compare.BothFailed:
		return StillFails, said(r, "now: ", a.Message)
	case compare.FirstFailed:
		if a.Outcome == review.OutcomeDenied {
			return NewlyDenied, said(r, "now: ", a.Message)
		}
		return NoLongerFails, said(r, "then: ", r.message)
	}
	var findings []finding
	for _, d := range differences(r, a, &c, all) {
		kind := kindOf(r, &d)
		at := slices.IndexFunc(findings, func(f finding) bool { return f.kind == kind })
		if at < 0 {
			at = len(findings)
			findings = append(findings, finding{kind: kind})
		}
		if f := &findings[at]; len(f.words) < maxWords {
			f.words = append(f.words, words(&d))
		} else if len(f.words) == maxWords {
			f.words = append(f.words, "and more")
		}
	}
	if c.More > 0 {
		findings = append(findings, finding{fmt.Sprintf("more than %d differences", compare.MaxDifferences), []string{fmt.Sprintf("%d more", c.More)}})
	}
	return Differs, findings
}

// differences are what was found, as an event of level Patch shows it unless all is set.
func differences(r *recorded, a *tryout.Answer, c *compare.Comparison, all bool) []redact.Difference {
	if !all {
		return redact.Differences(r.before, r.ops, a.Ops, c.Differences)
	}
	shown := make([]redact.Difference, len(c.Differences))
	for i := range c.Differences {
		d := &c.Differences[i]
		shown[i] = redact.Difference{Kind: d.Kind, Place: d.Place(), First: d.First.JSON, Second: d.Second.JSON, Named: func(compare.Place, json.RawMessage) bool { return true }}
	}
	return shown
}

// outcome is an answer as it is compared.
func outcome(o review.Outcome, pod json.RawMessage) compare.Outcome {
	switch o {
	case review.OutcomeMutated, review.OutcomeUnchanged:
		return compare.Outcome{Pod: pod}
	}
	return compare.Outcome{Denied: o == review.OutcomeDenied}
}

// said is a finding about a message.
func said(r *recorded, when, message string) []finding {
	return []finding{{general(r, message), []string{when + message}}}
}

// number is a number. The host of a URL and a status of HTTP are matched first, as a whole: they are the same for many Pods.
var number = regexp.MustCompile(`\bhttps?://[^/\s]+|\b(?:answered|status) [1-5][0-9][0-9]\b|[0-9]+`)

// minOwn is from how many bytes on a name is looked for in texts: a shorter one is a part of other words, too.
const minOwn = 3

// general is a message without what it says of this Pod alone, so that those of many Pods are of one kind.
func general(r *recorded, message string) string {
	for _, own := range []string{strings.TrimSuffix(r.name, "*"), r.user} {
		if len(own) >= minOwn {
			message = strings.ReplaceAll(message, own, "…")
		}
	}
	message = number.ReplaceAllStringFunc(message, func(found string) string {
		if found[0] > '9' {
			return found
		}
		return "…"
	})
	return review.Clip(message, 200)
}

// kinds are the kinds of a difference in words.
var kinds = map[compare.Kind]string{
	compare.OnlyFirst: "missing now", compare.OnlySecond: "new", compare.OtherValue: "another value", compare.OtherOrder: "another order",
}

// maxPlace is how much of a place is kept, in characters: a key of a map may be megabytes long.
const maxPlace = 200

// kindOf is the place of a difference and its kind. Elements whose name holds the last part of the Pod's own name, as volumes
// of JupyterHub's users do, are of one kind.
func kindOf(r *recorded, d *redact.Difference) string {
	name := strings.Trim(r.name, "-*")
	own := name[strings.LastIndexByte(name, '-')+1:]
	place := d.Place.NamesShown(func(at compare.Place, name json.RawMessage) bool {
		return (len(own) < minOwn || !strings.Contains(string(name), own)) && d.Named(at, name)
	})
	return review.Clip(place, maxPlace) + ": " + kinds[d.Kind]
}

// words says a difference.
func words(d *redact.Difference) string {
	at := review.Clip(d.Place.NamesShown(d.Named), maxPlace)
	switch d.Kind {
	case compare.OnlyFirst:
		return fmt.Sprintf("%s: %s then, nothing now", at, value(d.First))
	case compare.OnlySecond:
		return fmt.Sprintf("%s: nothing then, %s now", at, value(d.Second))
	case compare.OtherOrder:
		return at + ": in another order now"
	}
	return fmt.Sprintf("%s: %s then, %s now", at, value(d.First), value(d.Second))
}

// value is the JSON of a value, on one short line.
func value(text json.RawMessage) string { return review.Clip(string(text), maxValue) }
