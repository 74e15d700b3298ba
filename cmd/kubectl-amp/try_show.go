package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/tryout"
)

// show writes a result for people. The forms that a program may read hold nothing else on stdout: then why the exit code is not
// 0 and the warnings go to stderr.
func (f *tryFlags) show(t *tried, several bool) error {
	write, forProgram := t.WriteWords, false
	switch *f.format {
	case "yaml":
		write, forProgram = t.WriteYAML, true
	case "patch":
		write, forProgram = t.WritePatch, true
	case "diff":
		write = func(w io.Writer) error { return t.WriteDiff(w, f.colours()) }
	}
	if several && !forProgram {
		fmt.Fprintf(f.out, "%s\n", strings.Map(printable, t.Source))
	}
	if err := write(f.out); err != nil {
		return err
	}
	if *f.format != "diff" {
		f.explain(t)
	}
	return f.showAgain(t, forProgram)
}

// explain writes to stderr what the short forms leave out.
func (f *tryFlags) explain(t *tried) {
	if t.Failed() && (*f.format != "words" || t.Seen == "") { // words have Seen
		fmt.Fprintln(f.errs, review.Visible(t.reason()))
	}
	for _, warning := range t.Warnings {
		fmt.Fprintf(f.errs, "Warning: %s\n", review.Visible(warning))
	}
}

// showAgain writes what came of the second question.
func (f *tryFlags) showAgain(t *tried, forProgram bool) error {
	to := f.out
	if forProgram {
		to = f.errs
	}
	switch {
	case t.Again == nil:
	case t.Again.Failed():
		fmt.Fprintf(to, "  asked again: %s\n", review.Visible(t.Again.Message))
	case len(t.Again.Ops) == 0:
		if !forProgram {
			fmt.Fprintln(to, "  asked again: no change, as it should be")
		}
	default:
		fmt.Fprintln(to, "  asked again: the endpoint changes its own result, so it is not idempotent. Let it look first whether its change is there. These ops came again:")
		return t.Again.WriteWords(to)
	}
	return nil
}

// reason is why the Pod is not what was wanted.
func (t *tried) reason() string {
	if t.Seen != "" {
		return t.Seen
	}
	return t.Message
}

func (f *tryFlags) colours() tryout.Colours {
	if f.colour == "always" || f.colour == "auto" && isTerminal(f.out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		return tryout.Coloured
	}
	return tryout.Colours{}
}
