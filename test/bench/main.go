// The command bench measures what amp costs: each row of its table compares amp with something simpler, on the same
// machine, in the same run. START HERE: run, then reviews.go for the most important rows.
//
//	reviews.go   reviews/s and CPU against the bare forwarder
//	latency.go   the added latency
//	creates.go   Pods created through a real kube-apiserver
//	start.go     cold start and memory, with many Namespaces
//	row.go       what a row says; table.go how it is printed and compared
//	curves.go    how the cost grows, instead of rows; plot.go draws it
//	auditscale.go  draws what make audit-scale measured
//	profile.go   profiles of amp, instead of rows
//	process.go   the processes, and the CPU time that each has used
//
// The program only starts processes and reads their clocks. The loads, the endpoint, the sink and the forwarder are
// processes of their own: see actor.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "only the most important rows, in about a minute")
	only := flag.String("only", "", "only one group of rows: reviews, check, latency, candidate, cluster or binary")
	document := flag.String("document", "", "Markdown file whose table is replaced, or whose curves")
	data := flag.String("json", "", "file for the rows as JSON")
	profile := flag.String("profile", "", "profile amp instead: file of the CPU profiles, one for each setting")
	curves := flag.String("curves", "", "measure how the cost grows instead: folder of the plots")
	audit := flag.String("audit", "", "draw the figures of make audit-scale in this file instead, into the folder of -curves, and write them into -document")
	compare := flag.Bool("compare", false, "compare two files of rows: bench -compare before.json after.json")
	flag.Parse()
	var err error
	if *compare {
		err = compareFiles(flag.Args())
	} else if *audit != "" {
		err = auditScale(*audit, *curves, *document)
	} else {
		err = run(*quick, *only, *document, *data, *profile, *curves)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(quick bool, only, document, data, profile, curves string) (err error) {
	b := &bench{quick: quick, rounds: 15, measured: 500 * time.Millisecond, warm: 150 * time.Millisecond}
	if quick {
		b.rounds = 9
	}
	if b.dir, err = os.MkdirTemp("", "amp-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	defer b.stopAll()
	if profile != "" {
		b.tags = "profile"
	}
	if err := b.build(); err != nil {
		return err
	}
	if profile != "" {
		return b.profile(profile)
	}
	b.table.Machine = machine()
	if curves != "" {
		return b.plots(curves, document)
	}

	for _, group := range []struct {
		name  string
		quick bool
		add   func() error
	}{
		{"reviews", true, b.reviews},
		{"check", true, b.check},
		{"latency", false, b.latency},
		{"candidate", false, b.candidate},
		{"cluster", false, b.inCluster},
		{"binary", true, b.binary},
	} {
		if quick && !group.quick || only != "" && only != group.name {
			continue
		}
		if err := group.add(); err != nil {
			return fmt.Errorf("%s: %w", group.name, err)
		}
	}
	b.table.Machine += "; load average at the end " + loadAverage()

	if err := b.table.print(os.Stdout); err != nil {
		return err
	}
	if data != "" {
		if err := b.table.save(data); err != nil {
			return err
		}
	}
	if document != "" {
		return b.table.into(document)
	}
	return nil
}

// binary is the row for the size of amp's program.
func (b *bench) binary() error {
	info, err := os.Stat(b.amp)
	if err != nil {
		return err
	}
	b.add(row{Group: "Size", Name: "cmd/amp, stripped", Unit: "MB", Goal: atMost(20), Values: []float64{float64(info.Size()) / 1e6}})
	return nil
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// add adds a row to the table, and shows it at once.
func (b *bench) add(r row) {
	b.table.Rows = append(b.table.Rows, r)
	fmt.Fprintln(os.Stderr, r)
}
