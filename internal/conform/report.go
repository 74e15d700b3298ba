package conform

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/txn2/amp/internal/review"
)

// Severity says how much a finding matters.
type Severity string

// The severities. An Error breaks the contract; an Advice does not, but costs someone something.
const (
	Error  Severity = "error"
	Advice Severity = "advice"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Shapes   []string `json:"shapes"` // where it was seen; the other texts are of the first one
	Sent     string   `json:"sent"`
	Came     string   `json:"came"`
	Fix      string   `json:"fix"`
}

// RuleResult is what came of one rule.
type RuleResult struct {
	Rule   string `json:"rule"`
	Asks   string `json:"asks"`
	Result string `json:"result"` // ok, advice, error or "not tried"
}

// Answers counts how the first request about each shape was answered.
type Answers struct {
	Patched   int `json:"patched"`
	Unchanged int `json:"unchanged"`
	Denied    int `json:"denied"`
	Failed    int `json:"failed"` // no answer, or one that amp cannot use
}

// Report is what a run found.
type Report struct {
	Endpoint string       `json:"endpoint"` // without userinfo and query
	Phase    string       `json:"phase"`
	Shapes   int          `json:"shapes"`
	Requests int          `json:"requests"`
	Answers  Answers      `json:"answers"`
	BudgetMS float64      `json:"budgetMs"`
	P50MS    float64      `json:"p50Ms"`
	MaxMS    float64      `json:"maxMs"`
	Rules    []RuleResult `json:"rules"`
	Findings []*Finding   `json:"findings"`
	Note     string       `json:"note,omitempty"` // what was not tried, and why
}

// Errors returns the findings that break the contract.
func (r *Report) Errors() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == Error {
			n++
		}
	}
	return n
}

// find notes a finding. The same one about another shape only adds that shape.
func (r *run) find(rule string, severity Severity, e *exchange, sent, came, fix string) {
	for _, f := range r.findings {
		if rule == ruleWrong && f.Rule == rule && f.Came == came && f.Fix == fix {
			f.Sent += "; " + sent
			return
		}
		if f.Rule == rule && f.Severity == severity && f.Fix == fix && (f.Came == came || rule != ruleAnswer && rule != rulePatch && rule != ruleMembers) && (f.Sent == sent || rule != ruleWrong) {
			if !slices.Contains(f.Shapes, e.shape) {
				f.Shapes = append(f.Shapes, e.shape)
			}
			return
		}
	}
	r.findings = append(r.findings, &Finding{Rule: rule, Severity: severity, Shapes: []string{e.shape}, Sent: sent, Came: came, Fix: fix})
}

// report sums up.
func (r *run) report() *Report {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	out := &Report{
		Endpoint: r.endpoint.Name, Phase: string(r.config.Phase), Shapes: len(r.firsts), Requests: int(r.requests.Load()), BudgetMS: ms(r.config.Budget),
		Findings: r.findings, Note: r.stop,
	}
	if out.Findings == nil {
		out.Findings = []*Finding{}
	}
	for _, e := range r.firsts {
		switch {
		case e.failed():
			out.Answers.Failed++
		case e.answer.Refused:
			out.Answers.Denied++
		case len(e.checked.Ops) > 0:
			out.Answers.Patched++
		default:
			out.Answers.Unchanged++
		}
	}
	if slices.Sort(r.took); len(r.took) > 0 {
		out.P50MS, out.MaxMS = ms(r.took[len(r.took)/2]), ms(r.took[len(r.took)-1])
	}
	for _, rule := range rules {
		out.Rules = append(out.Rules, RuleResult{rule.name, rule.asks, r.resultOf(rule.name)})
	}
	if out.Note == "" && r.config.Phase != "validate" && out.Answers.Patched == 0 && out.Answers.Failed == 0 {
		out.Note = "no Pod was patched, so the rules about patches were not tried: send a Pod that the endpoint changes (-f)"
	}
	return out
}

func (r *run) resultOf(rule string) string {
	result := "not tried"
	if r.tried[rule] {
		result = "ok"
	}
	for _, f := range r.findings {
		if f.Rule == rule && (f.Severity == Error || result != string(Error)) {
			result = string(f.Severity)
		}
	}
	return result
}

// WriteText writes the report for people: a table of the rules, and then what to fix.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d Pods of all shapes, %d requests\n", r.Endpoint, r.Shapes, r.Requests)
	fmt.Fprintf(&b, "answers: %d patched, %d unchanged, %d denied, %d failed\n", r.Answers.Patched, r.Answers.Unchanged, r.Answers.Denied, r.Answers.Failed)
	fmt.Fprintf(&b, "time:    %.1f ms (median), %.1f ms (longest) of %.0f ms\n\n", r.P50MS, r.MaxMS, r.BudgetMS)
	for _, rule := range r.Rules {
		fmt.Fprintf(&b, "%-9s  %-14s  %s\n", rule.Result, rule.Rule, rule.Asks)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s  %s\n", strings.ToUpper(string(f.Severity)), f.Text())
	}
	errors := r.Errors()
	fmt.Fprintf(&b, "\n%d errors, %d pieces of advice\n", errors, len(r.Findings)-errors)
	if r.Note != "" {
		fmt.Fprintf(&b, "note: %s\n", r.Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Text is the finding in four lines: what was sent in which shape, what came, and what to do.
func (f *Finding) Text() string {
	about := f.Shapes[0]
	if more := len(f.Shapes) - 1; more > 0 {
		about += fmt.Sprintf(", and %d more", more)
	}
	return fmt.Sprintf("%s (%s)\n  sent: %s\n  came: %s\n  fix:  %s", review.Visible(f.Rule), review.Visible(about), review.Visible(f.Sent), review.Visible(f.Came), review.Visible(f.Fix))
}
