package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// WriteJSON writes the report for scripts.
func (r *Report) WriteJSON(w io.Writer) error { return review.WriteJSON(w, r) }

// width is how wide a report for people is, in characters. Commands may be wider: a broken one cannot be copied.
const width = 80

// WriteText writes the report for people. In a namespace, checks that are ok share one line, unless
// verbose, or what one says is worth reading.
func (r *Report) WriteText(w io.Writer, verbose bool) error {
	column := 0
	for _, f := range r.Checks {
		column = max(column, len(f.ID))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "amp in namespace %s, Kubernetes %s, compared with what amp %s deploys\n", r.Namespace, review.Line(r.Kubernetes), r.Version)
	group, ok := "", []string(nil)
	endGroup := func() {
		if len(ok) > 0 {
			fmt.Fprintf(&b, "  %-8s %s\n", OK, strings.Join(ok, ", "))
		}
		ok = nil
	}
	for i, f := range r.Checks {
		if i == 0 || f.Namespace != group {
			endGroup()
			if group = f.Namespace; group == "" {
				b.WriteString("\nInstallation\n")
			} else {
				fmt.Fprintf(&b, "\nNamespace %s\n", review.Line(group))
			}
		}
		if f.Status == OK && f.Namespace != "" && !verbose && !f.shown {
			ok = append(ok, f.ID)
		} else {
			f.writeText(&b, column)
		}
	}
	endGroup()
	s := r.Summary
	fmt.Fprintf(&b, "\n%d ok, %d warning, %d failed, %d skipped\n", s.OK, s.Warning, s.Failed, s.Skipped)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeText writes one finding, with the message behind an id of column characters and the remedy below it.
func (f *Finding) writeText(b *strings.Builder, column int) {
	lead := fmt.Sprintf("  %-8s %-*s ", f.Status, column, f.ID)
	indent := strings.Repeat(" ", len(lead))
	for _, line := range wrap(f.Message, width-len(lead)) {
		b.WriteString(lead + line + "\n")
		lead = indent
	}
	writeRemedy(b, indent, f.Remedy)
}

// writeRemedy writes a remedy behind an arrow.
func writeRemedy(b *strings.Builder, indent, remedy string) {
	lead := indent + "→ "
	for line := range strings.Lines(remedy) {
		n := width - len(indent) - 2 // the arrow
		if strings.HasPrefix(line, "kubectl ") || strings.HasPrefix(line, "helm ") {
			n = len(line)
		}
		for _, part := range wrap(line, n) {
			b.WriteString(lead + part + "\n")
			lead = indent + "  "
		}
	}
}

// wrap breaks a text at spaces into lines of at most n characters. A longer word has a line of its own. Characters that
// are not printable, such as a terminal's control sequences, are removed.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(review.Line(text)) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= n:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
