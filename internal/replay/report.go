package replay

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// Verdict says how the answer about a Pod stands to the recorded one.
type Verdict string

// The verdicts, in the order of the report.
const (
	NewlyFails     Verdict = "newly fails"      // it was admitted or denied, and the endpoint fails
	NewlyDenied    Verdict = "newly denied"     // it was admitted, or failed
	Differs        Verdict = "differs"          // it is admitted as another Pod
	NoLongerDenied Verdict = "no longer denied" // it is admitted
	NoLongerFails  Verdict = "no longer fails"  // it is admitted
	StillFails     Verdict = "still fails"
	Same           Verdict = "same"
)

// Verdicts lists every verdict.
var Verdicts = []Verdict{NewlyFails, NewlyDenied, Differs, NoLongerDenied, NoLongerFails, StillFails, Same}

// Report is what a replay found.
type Report struct {
	// Events is how many events the source had, as far as they were read.
	Events int `json:"events"`
	// Replayed is how many Pods the endpoints were asked about. Pods says it for each verdict.
	Replayed int             `json:"replayed"`
	Pods     map[Verdict]int `json:"pods"`
	// Groups are the differences by kind, most Pods first within a verdict. A Pod with differences of several kinds counts in
	// each.
	Groups []Group `json:"groups"`
	// Left are the events that were not replayed, by reason.
	Left []Group `json:"left"`
	// Stopped says why the source was not read to its end, empty if it was.
	Stopped string `json:"stopped,omitempty"`
	TookMS  int64  `json:"tookMs"`
}

// Group is events that have something in common.
type Group struct {
	Verdict Verdict `json:"verdict,omitempty"`
	// Kind is the kind of difference, or why the events were not replayed.
	Kind     string    `json:"kind"`
	Count    int       `json:"count"`
	Examples []Example `json:"examples"`
}

// Example is one event of a group.
type Example struct {
	Event string `json:"event,omitempty"` // its id
	Pod   string `json:"pod,omitempty"`   // namespace/name; with generateName it ends in *
	Where string `json:"where,omitempty"` // in the source, if there is no id
	// Differences are in words.
	Differences []string `json:"differences,omitempty"`

	number int // in the order of the source
}

// Differ reports whether any Pod would be another one, or is not admitted as it was, or fails.
func (r *Report) Differ() bool { return r.Replayed > r.Pods[Same] }

// report sums up.
func (l *ledger) report() *Report {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	r := &Report{Events: l.events, Pods: map[Verdict]int{}, Groups: []Group{}, Left: []Group{}}
	for _, v := range Verdicts {
		r.Pods[v] = l.pods[v]
		r.Replayed += l.pods[v]
	}
	for _, g := range l.groups {
		if g.events == 0 {
			continue
		}
		shown := Group{Verdict: g.verdict, Kind: cmp.Or(g.kind, string(g.left)), Count: g.events, Examples: append([]Example{}, g.examples...)}
		for i := range shown.Examples {
			if e := &shown.Examples[i]; e.Event != "" {
				e.Where = ""
			}
		}
		if g.left != "" {
			r.Left = append(r.Left, shown)
		} else {
			r.Groups = append(r.Groups, shown)
		}
	}
	slices.SortFunc(r.Groups, func(a, b Group) int {
		return cmp.Or(slices.Index(Verdicts, a.Verdict)-slices.Index(Verdicts, b.Verdict), b.Count-a.Count, cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(r.Left, func(a, b Group) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Kind, b.Kind)) })
	return r
}

// inWords is each verdict of a number of Pods.
var inWords = map[Verdict][2]string{
	Same: {"would be the same", "would be the same"}, Differs: {"would differ", "would differ"},
	NewlyDenied: {"would be denied, and was not", "would be denied, and were not"}, NewlyFails: {"would fail, and did not", "would fail, and did not"},
	NoLongerDenied: {"was denied, and would be admitted", "were denied, and would be admitted"},
	NoLongerFails:  {"failed, and would be admitted", "failed, and would be admitted"}, StillFails: {"failed, and would fail again", "failed, and would fail again"},
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	pods, events, were := "Pods", "events", "were"
	if r.Replayed == 1 {
		pods, were = "Pod", "was"
	}
	if r.Events == 1 {
		events = "event"
	}
	fmt.Fprintf(&b, "%d %s of %d recorded %s %s replayed in %.1f s, as dry runs\n\n", r.Replayed, pods, r.Events, events, were, float64(r.TookMS)/1000)
	for i := range Verdicts {
		v := Verdicts[len(Verdicts)-1-i]
		words := inWords[v][1]
		if r.Pods[v] == 1 {
			words = inWords[v][0]
		}
		if r.Pods[v] > 0 || v == Same {
			fmt.Fprintf(&b, "%8d  %s\n", r.Pods[v], words)
		}
	}
	verdict := Verdict("")
	for i := range r.Groups {
		g := &r.Groups[i]
		if g.Verdict != verdict {
			verdict = g.Verdict
			fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(string(verdict)))
		}
		g.write(&b)
	}
	if len(r.Left) > 0 {
		b.WriteString("\nNOT REPLAYED\n")
	}
	for i := range r.Left {
		r.Left[i].write(&b)
	}
	if r.Stopped != "" {
		fmt.Fprintf(&b, "\nThis is not all: %s\n", review.Line(r.Stopped))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write writes a group. What others wrote is made safe for a terminal, and one line.
func (g *Group) write(b *strings.Builder) {
	fmt.Fprintf(b, "%8d  %s\n", g.Count, review.Line(g.Kind))
	for i := range g.Examples {
		e := &g.Examples[i]
		name := e.Where
		if e.Event != "" {
			name = "event " + e.Event
		}
		if e.Pod != "" {
			name = e.Pod + " (" + name + ")"
		}
		fmt.Fprintf(b, "          - %s\n", review.Line(name))
		for _, d := range e.Differences {
			fmt.Fprintf(b, "              %s\n", review.Line(d))
		}
	}
}
