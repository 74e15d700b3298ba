// Command attack attacks amp and the audit function from outside: the programs as they are shipped, each in a memory
// cgroup of the size that deploy/ gives it, asked over HTTP. Each row of its table is one attack, with what was seen and a
// verdict. It exits with 1 if a row fails.
//
// Everything happens in a network namespace of its own that has only loopback. The addresses of clouds' metadata services
// are addresses of that loopback, so a connection to one is seen, and no packet leaves the machine.
//
// With -for it then repeats the attacks of tenants, at random, beside a tenant that does nothing wrong: see long.go.
//
// It needs Linux and root. START HERE: rows.go has the list of rows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	long := flag.Duration("for", 0, "after the table, attack at random for so long, beside a good tenant")
	only := flag.String("run", "", "run only the rows whose kind and input match this regular expression")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the attacks at random")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := attack(ctx, *only, *long, *seed); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(os.Stderr, "attack:", err)
		}
		os.Exit(1)
	}
}

// errSaid is an error that has been printed.
var errSaid = errors.New("the program in the network namespace failed")

func attack(ctx context.Context, only string, long time.Duration, seed uint64) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("reading -run: %w", err)
	}
	if text := os.Getenv(orderVariable); text != "" {
		return attackIfOrdered(text)
	}
	dir := os.Getenv(insideVariable)
	if dir == "" {
		return outside(ctx)
	}
	if err := prepareNamespace(dir); err != nil {
		return fmt.Errorf("preparing the network namespace: %w", err)
	}
	w := &world{dir: dir, amp: filepath.Join(dir, "amp"), audit: filepath.Join(dir, "endpoints"), port: 20_000}
	if w.cert, err = newCertificate(dir); err != nil {
		return err
	}
	failed, ran := 0, 0
	for _, row := range rows {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !wanted.MatchString(row.kind + ": " + row.input) {
			continue
		}
		ran++
		if !w.try(ctx, row) {
			failed++
		}
	}
	fmt.Printf("\n%d rows, %d failed\n", ran, failed)
	if long > 0 {
		if err := w.beside(ctx, long, seed); err != nil {
			return err
		}
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d rows failed", failed, ran)
	case ran == 0 && long == 0:
		return fmt.Errorf("no row matches %q", only)
	}
	return nil
}

// world is what all rows share.
type world struct {
	dir        string
	amp, audit string // the programs
	cert       *certificate
	port       int // the last one that was given out
}

// insideVariable says to the program that it is in its own network namespace, and where the programs are.
const insideVariable = "ATTACK_INSIDE"

// outside builds the programs, which may need the network, and runs this program again in a network namespace.
func outside(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "amp-attack-")
	if err != nil {
		return err
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "attack: removing what it has written:", err)
		}
	}()
	for program, folder := range map[string]string{"amp": "./cmd/amp", "endpoints": "./cmd/endpoints"} {
		// As a release builds them.
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, program), folder)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", folder, err, out)
		}
	}
	return inNamespace(ctx, dir)
}

// freePort returns a port of this namespace, on which no program listens.
func (w *world) freePort() string {
	w.port++
	return fmt.Sprint(w.port)
}

// try runs a row and prints its line.
func (w *world) try(ctx context.Context, one row) bool {
	r := &run{world: w, ctx: ctx}
	began := time.Now()
	err := r.do(one.try)
	verdict := "ok"
	if err != nil {
		verdict = "FAILED: " + err.Error()
	}
	fmt.Printf("| %s | %s | %s | %s | (%.0fs)\n", one.kind, one.input, strings.Join(r.seen, "; "), verdict, time.Since(began).Seconds())
	return err == nil
}

// run is one row under way.
type run struct {
	*world
	ctx      context.Context
	seen     []string
	cleanups []func()
}

type failure string

func (f failure) Error() string { return string(f) }

// do calls f and then what it left to clean up. The error is the one that ended f; see fail.
func (r *run) do(f func(*run)) (err error) {
	defer func() {
		for i := len(r.cleanups) - 1; i >= 0; i-- {
			r.cleanups[i]()
		}
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p
		default:
			panic(p)
		}
	}()
	f(r)
	return nil
}

// fail ends the row. Only the goroutine of the row may call it.
func (r *run) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// must fails the row if there is an error.
func (r *run) must(err error) {
	if err != nil {
		r.fail("%v", err)
	}
}

// saw adds a figure to the line of the row.
func (r *run) saw(format string, args ...any) { r.seen = append(r.seen, fmt.Sprintf(format, args...)) }

// atEnd calls f when the row has ended.
func (r *run) atEnd(f func()) { r.cleanups = append(r.cleanups, f) }

// eventually waits until check returns "", which it must within the limit.
func (r *run) eventually(limit time.Duration, check func() string) {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			r.fail("after %v: %s", limit, why)
		}
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			r.fail("%v", r.ctx.Err())
		}
	}
}
