package tryout

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/review"
)

// Colours are the control sequences of a terminal; the zero value writes none.
type Colours struct{ bold, dim, red, green, reset string }

// Coloured are colours for a terminal.
var Coloured = Colours{bold: "\x1b[1m", dim: "\x1b[2m", red: "\x1b[31m", green: "\x1b[32m", reset: "\x1b[0m"}

// WriteDiff writes all of a result for people: the difference, the ops in words, the warnings, the time and the event.
func (r *Result) WriteDiff(w io.Writer, c Colours) error {
	var b strings.Builder
	switch {
	case r.Seen != "":
		fmt.Fprintf(&b, "  %s%s%s\n", c.red, review.Visible(r.Seen), c.reset)
	case r.Message != "" && r.Outcome == review.OutcomeShadowed:
		fmt.Fprintf(&b, "  shadow mode, else: %s%s%s\n", c.red, review.Visible(r.Message), c.reset)
	case r.Outcome == review.OutcomeSkipped:
		fmt.Fprintf(&b, "  amp skips this Pod: the namespace has not opted in, or leaves it out\n")
	case r.Outcome == review.OutcomeValidated:
		fmt.Fprintf(&b, "  the endpoint lets the Pod pass\n")
	case len(r.Diff.Hunks) == 0 && r.Message == "":
		fmt.Fprintf(&b, "  no change\n")
	}
	for _, h := range r.Diff.Hunks {
		fmt.Fprintf(&b, "  %s… %s%s\n", c.dim, review.Visible(h.Where), c.reset)
		for _, line := range h.Lines {
			colour := map[string]string{"+": c.green, "-": c.red}[line.Op]
			if colour == "" {
				colour = c.dim
			}
			fmt.Fprintf(&b, "  %s%s%s%s\n", colour, line.Op, review.Visible(line.Text), c.reset)
		}
	}
	if len(r.Patch) > 0 {
		b.WriteByte('\n')
		r.words(&b)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "  %sWarning: %s%s\n", c.bold, review.Visible(warning), c.reset)
	}
	fmt.Fprintf(&b, "\n  %s%s in %.1f ms", c.dim, r.Outcome, r.TookMS)
	for _, e := range r.Endpoints {
		fmt.Fprintf(&b, "; %s %d, %.1f ms", e.URL, e.Status, e.DurationMS)
	}
	fmt.Fprintf(&b, "\n  event: %s%s\n", r.Event, c.reset)
	_, err := io.WriteString(w, b.String())
	return err
}

// words writes a line for each op.
func (r *Result) words(b *strings.Builder) {
	for i, change := range r.Patch {
		by := ""
		if change.Step == 0 {
			by = " (by amp)"
		} else if len(r.Endpoints) > 1 {
			by = fmt.Sprintf(" (endpoint %d)", change.Step)
		}
		fmt.Fprintf(b, "  %d. %s%s\n", i+1, review.Visible(change.Words), by)
	}
}

// WriteWords writes only the ops in words, or how the review ended if there are none.
func (r *Result) WriteWords(w io.Writer) error {
	var b strings.Builder
	r.words(&b)
	if len(r.Patch) == 0 {
		fmt.Fprintf(&b, "  %s\n", r.Outcome)
	}
	if r.Seen != "" {
		fmt.Fprintf(&b, "  %s\n", review.Visible(r.Seen))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteYAML writes the Pod as it is after the review.
func (r *Result) WriteYAML(w io.Writer) error {
	text, err := yaml.JSONToYAML(review.EscapeJSON(r.Pod)) // of YAML, control characters are no part
	if err == nil {
		_, err = w.Write(append([]byte("---\n"), text...))
	}
	return err
}

// WritePatch writes the endpoints' ops as amp completed them: the patch without amp's stamp.
func (r *Result) WritePatch(w io.Writer) error {
	text, err := json.MarshalIndent(r.Ops, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", review.EscapeJSON(text))
	}
	return err
}
