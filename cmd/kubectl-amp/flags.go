package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/txn2/amp/internal/review"
)

// flagSet reads the flags of one subcommand, in the same way for each.
type flagSet struct {
	*pflag.FlagSet
	usage     string // what the help says before the flags
	out, errs io.Writer
	format    *string
	formats   []string
}

// newFlags returns the flags of the subcommand called name. out gets the help, errs gets what is wrong.
func newFlags(name, usage string, out, errs io.Writer) *flagSet {
	f := &flagSet{FlagSet: pflag.NewFlagSet(name, pflag.ContinueOnError), usage: usage, out: out, errs: errs}
	f.SetOutput(io.Discard)
	return f
}

// output adds -o, whose values are formats. The first is the default. parse checks the value.
func (f *flagSet) output(formats ...string) *string {
	f.formats = formats
	f.format = f.StringP("output", "o", formats[0], orList(formats))
	return f.format
}

// caFlag adds --ca, the file with the CAs of what is called by https: endpoints, or addresses.
func (f *flagSet) caFlag(what string) *string {
	return f.String("ca", "", "PEM file with the CAs of https "+what+"; by default the system's")
}

// parse reads args. If done, the subcommand ends with code: the help was asked for, or something is wrong. At most
// arguments values without a flag may follow; -1 is any number.
func (f *flagSet) parse(args []string, arguments int) (code int, done bool) {
	switch err := f.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(f.out, f.usage, f.FlagUsagesWrapped(80))
		return exitOK, true
	case err != nil:
		return f.fail(err), true
	case arguments >= 0 && f.NArg() > arguments:
		return f.fail(fmt.Errorf("unknown argument %q", f.Arg(arguments))), true
	case f.format != nil && !slices.Contains(f.formats, *f.format):
		return f.fail(fmt.Errorf("--output %q: allowed are %s", *f.format, andList(f.formats))), true
	}
	return exitOK, false
}

// fail says why the question could not be asked, and returns that exit code.
func (f *flagSet) fail(err error) int {
	// The client of endpoints names its files by the variables of the proxy. Here a flag says which.
	text := strings.ReplaceAll(err.Error(), "AMP_ENDPOINT_CA: ", "--ca: ")
	text = strings.Map(printable, text) // a server may have written a part of it
	fmt.Fprintf(f.errs, "kubectl amp %s: %s\n", f.Name(), text)
	return exitUsage
}

// printable replaces what a terminal would obey. Errors have several lines.
func printable(r rune) rune {
	if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// report writes a report in the form that -o chose, text or json. It returns the exit code: that of a failure if failed.
func (f *flagSet) report(report interface{ WriteText(io.Writer) error }, failed bool) int {
	write := report.WriteText
	if *f.format == "json" {
		write = func(w io.Writer) error { return review.WriteJSON(w, report) }
	}
	if err := write(f.out); err != nil {
		return f.fail(err)
	}
	if failed {
		return exitFailed
	}
	return exitOK
}

// interruptible is a reader that ctx ends, also while it waits, as a terminal may for ever. What a Read reads after that is lost.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	read, buffer := make(chan result, 1), make([]byte, len(p))
	go func() {
		n, err := i.r.Read(buffer)
		read <- result{n, err}
	}()
	select {
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	case r := <-read:
		copy(p, buffer[:r.n])
		return r.n, r.err
	}
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func orList(words []string) string  { return list(words, " or ") }
func andList(words []string) string { return list(words, " and ") }

func list(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + last + words[len(words)-1]
}
