package serve

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// maxDefault is the longest default that the help shows beside the name of its variable.
const maxDefault = 30

// WriteHelp writes the table of variables for a terminal.
func WriteHelp(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range variables {
		def := cmp.Or(v.def, plain(v.unset), "-")
		// A long default would move the text of every other line off the screen.
		if len(def) > maxDefault {
			fmt.Fprintf(tw, "  %s\t\t%s\n  \t\tdefault %s\n", v.name, plain(v.help), def)
			continue
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", v.name, def, plain(v.help))
	}
	return tw.Flush()
}

// plain removes the marks of Markdown.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// writeMarkdown writes the table of variables as docs/config.md has it.
func writeMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| variable | default | |\n|---|---|---|\n")
	for _, v := range variables {
		def := v.unset
		if v.def != "" {
			def = "`" + v.def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.name, def, v.help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
