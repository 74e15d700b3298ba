package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// Status is how a check ended.
type Status string

// The statuses. A warning is something to know of with which amp does its work; skipped is what could not be
// looked at, or would only repeat another failure.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Check is one thing that was looked at. Its fields are for scripts as well: they do not change.
type Check struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace,omitempty"` // the opted-in one; empty: the check is one of the installation
	Subject   string `json:"subject"`             // what was looked at: kind/name, or an endpoint's URL
	Status    Status `json:"status"`
	Message   string `json:"message"`
	// Remedy is a command or a thing to set, one a line; empty where there is nothing to do.
	Remedy string `json:"remedy,omitempty"`
}

// Report is all that was looked at.
type Report struct {
	Version    string  `json:"version"`    // of this program, and so of what is taken for "as deployed"
	Kubernetes string  `json:"kubernetes"` // version of the API server
	Namespace  string  `json:"namespace"`  // amp's own
	Checks     []Check `json:"checks"`
	Summary    Summary `json:"summary"`
}

// Summary counts the checks by status.
type Summary struct {
	OK      int `json:"ok"`
	Warning int `json:"warning"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

func (s *Summary) count(status Status) {
	switch status {
	case OK:
		s.OK++
	case Warning:
		s.Warning++
	case Failed:
		s.Failed++
	case Skipped:
		s.Skipped++
	}
}

// WriteJSON writes the report for scripts.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// width is how wide a report for people is. Commands are longer where they must be: what is cut cannot be copied.
const width = 80

// WriteText writes the report for people. Of a namespace, what is well takes one line, unless verbose.
func (r *Report) WriteText(w io.Writer, verbose bool) error {
	column := 0
	for _, c := range r.Checks {
		column = max(column, len(c.ID))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "amp in namespace %s, Kubernetes %s, compared with what amp %s deploys\n", r.Namespace, r.Kubernetes, r.Version)
	group, well := "", []string(nil)
	end := func() { // of a group
		if len(well) > 0 {
			fmt.Fprintf(&b, "  %-8s %s\n", OK, strings.Join(well, ", "))
		}
		well = nil
	}
	for i, c := range r.Checks {
		if i == 0 || c.Namespace != group {
			end()
			if group = c.Namespace; group == "" {
				b.WriteString("\nInstallation\n")
			} else {
				fmt.Fprintf(&b, "\nNamespace %s\n", group)
			}
		}
		if c.Status == OK && c.Namespace != "" && !verbose {
			well = append(well, c.ID)
			continue
		}
		lead := fmt.Sprintf("  %-8s %-*s ", c.Status, column, c.ID)
		indent := strings.Repeat(" ", len(lead))
		for i, line := range wrap(c.Message, width-len(lead)) {
			if i > 0 {
				lead = indent
			}
			b.WriteString(lead + line + "\n")
		}
		lead = indent + "→ "
		for line := range strings.Lines(c.Remedy) {
			n := width - len(indent) - 2
			if strings.HasPrefix(line, "kubectl ") {
				n = len(line)
			}
			for _, part := range wrap(line, n) {
				b.WriteString(lead + part + "\n")
				lead = indent + "  "
			}
		}
	}
	end()
	s := r.Summary
	fmt.Fprintf(&b, "\n%d ok, %d warning, %d failed, %d skipped\n", s.OK, s.Warning, s.Failed, s.Skipped)
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap breaks a text at spaces into lines of at most n characters; a longer word has a line of its own. What it
// holds that is not to be printed, a terminal's commands for one, is left out.
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
