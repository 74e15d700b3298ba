package suite

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/txn2/amp/internal/review"
)

// Report is what came of all suites.
type Report struct {
	Results []Result `json:"results"`
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	// NotAsked counts the cases that could not be asked.
	NotAsked int `json:"notAsked"`
}

// Add adds the results of a suite.
func (r *Report) Add(results []Result) {
	r.Results = append(r.Results, results...)
	for _, one := range results {
		switch {
		case one.Error != "":
			r.NotAsked++
		case one.Passed:
			r.Passed++
		default:
			r.Failed++
		}
	}
}

// WriteText writes the results for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	file := ""
	for i := range r.Results {
		one := &r.Results[i]
		if one.File != file {
			file = one.File
			fmt.Fprintf(&b, "%s\n", file)
		}
		status := "ok"
		switch {
		case one.Error != "":
			status = "NOT ASKED"
		case !one.Passed:
			status = "FAILED"
		}
		fmt.Fprintf(&b, "  %-9s %s (%.0f ms)\n", status, review.Visible(one.Name), one.TookMS)
		if !one.Passed {
			fmt.Fprintf(&b, "            %s:%d\n", one.File, one.Line)
			for line := range strings.Lines(one.why()) {
				fmt.Fprintf(&b, "            %s\n", review.Visible(strings.TrimSuffix(line, "\n")))
			}
		}
	}
	fmt.Fprintf(&b, "\n%d passed, %d failed, %d could not be asked\n", r.Passed, r.Failed, r.NotAsked)
	_, err := io.WriteString(w, b.String())
	return err
}

// why says in lines why a case did not pass.
func (r *Result) why() string {
	var b strings.Builder
	if r.Error != "" {
		fmt.Fprintf(&b, "%s\n", r.Error)
	}
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "%s\n%s%s", d.What, lines("- want: ", d.Want), lines("+ got:  ", d.Got))
	}
	if r.Seen != "" {
		fmt.Fprintf(&b, "the Pod's creator reads: %s\n", r.Seen)
	}
	return b.String()
}

// lines writes a value behind a lead, as YAML if it does not fit into one line.
func lines(lead string, value any) string {
	if text, ok := value.(string); ok {
		return lead + text + "\n"
	}
	value = normal(value)
	if value == nil {
		return lead + "nothing\n"
	}
	text, err := yaml.Marshal(value)
	if err != nil {
		return lead + fmt.Sprint(value) + "\n"
	}
	trimmed := strings.TrimSuffix(string(text), "\n")
	if !strings.Contains(trimmed, "\n") {
		return lead + trimmed + "\n"
	}
	return lead + "\n" + lead[:2] + strings.ReplaceAll(trimmed, "\n", "\n"+lead[:2]) + "\n"
}

// The elements of JUnit's format that CI systems read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string     `xml:"name,attr"`
		Class   string     `xml:"classname,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitText `xml:"failure,omitempty"`
		Error   *junitText `xml:"error,omitempty"`
	}
	junitText struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the results as JUnit's XML.
func (r *Report) WriteJUnit(w io.Writer) error {
	var all junitSuites
	for i := range r.Results {
		one := &r.Results[i]
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != one.File {
			all.Suites = append(all.Suites, junitSuite{Name: one.File})
		}
		s := &all.Suites[len(all.Suites)-1]
		s.Tests++
		c := junitCase{Name: review.Visible(one.Name), Class: one.File, Time: fmt.Sprintf("%.3f", one.TookMS/1000)}
		switch text := one.why(); {
		case one.Error != "":
			s.Errors++
			c.Error = &junitText{one.Error, text}
		case !one.Passed:
			s.Failures++
			c.Failure = &junitText{one.Differences[0].What, text}
		}
		s.Cases = append(s.Cases, c)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	}
	return err
}
