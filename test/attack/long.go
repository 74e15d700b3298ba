package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	goodRate   = 50 // reviews/s of the good tenant
	attackRate = 10 // attacks/s; one is a review, a burst of them, or some connections
)

// beside measures a good tenant, quiet and then beside attackers, all with one amp and one audit function as they are
// shipped. The good tenant and its endpoint are this process. The attackers are another one, at the lowest priority: the
// question is what they cost amp, and not what they cost this machine.
func (w *world) beside(ctx context.Context, long time.Duration, seed uint64) error {
	r := &run{world: w, ctx: ctx}
	fmt.Printf("\n%v beside attackers: seed %d, a good tenant with %d reviews/s, %d attacks/s at random\n", long, seed, goodRate, attackRate)
	return r.do(func(r *run) { r.beside(long, seed) })
}

func (r *run) beside(long time.Duration, seed uint64) {
	audit := r.startAudit(r.database(), "AMP_AUDIT_RETENTION=1m")
	// In a cluster it has processors of its own.
	r.must(syscall.Setpriority(syscall.PRIO_PROCESS, audit.cmd.Process.Pid, 10))
	in, t := good(), tenants{}
	r.with(t, in)
	bad := r.startAttackers(t, order{Audit: audit.url, Seed: seed})
	amp := r.startAmp(t, "K_SINK="+audit.url)

	measure := func(length time.Duration) *outcome {
		ctx, cancel := context.WithTimeout(r.ctx, length)
		defer cancel()
		go func() {
			select {
			case <-amp.ended: // nothing more can be learnt
				cancel()
			case <-ctx.Done():
			}
		}()
		return amp.steadily(ctx, goodRate, fail, in.name, in.pod)
	}
	measure(5 * time.Second) // so that connections are open
	quiet := measure(max(30*time.Second, min(long/10, 5*time.Minute)))
	fmt.Printf("quiet:    %d reviews, p50 %v, p99 %v, %d MiB RSS at the peak\n", len(quiet.times), round(quiet.at(.5)), round(quiet.at(.99)), amp.peak()>>20)
	r.must(bad.begin(amp))
	began := time.Now()
	loud := measure(long)
	took := time.Since(began)
	said, err := bad.end()
	fmt.Printf("attacked: %d reviews in %v, p50 %v, p99 %v, the slowest %v, %d failed\n", len(loud.times)+len(loud.errors), took.Round(time.Second),
		round(loud.at(.5)), round(loud.at(.99)), round(loud.at(1)), loud.failed())
	ratio := float64(loud.at(.99)) / float64(quiet.at(.99))
	memory, _ := amp.group.Peak()
	fmt.Printf("p99 is %.1f times the quiet one; amp: %d MiB RSS at the peak, %d MiB in its cgroup of %d, ended: %v; audit function: %d MiB RSS of %d, ended: %v\n",
		ratio, amp.peak()>>20, memory>>20, ampMemory>>20, amp.hasEnded(), audit.peak()>>20, auditMemory>>20, audit.hasEnded())
	fmt.Printf("attacks: %s\n", said)
	r.must(err)
	var wrong []error
	if amp.hasEnded() || audit.hasEnded() {
		wrong = append(wrong, fmt.Errorf("a process ended: amp %v, killed for memory %v; audit function %v, killed for memory %v", amp.hasEnded(), amp.killed(), audit.hasEnded(), audit.killed()))
	}
	if n := quiet.failed() + loud.failed(); n > 0 {
		wrong = append(wrong, fmt.Errorf("%d of the good tenant's reviews failed: %s %v", n, loud.refused, errors.Join(loud.errors[:min(3, len(loud.errors))]...)))
	}
	if ratio > 3 {
		wrong = append(wrong, fmt.Errorf("p99 is %.1f times the quiet one; at most 3 is right", ratio))
	}
	r.must(errors.Join(wrong...))
}

// failed counts the reviews that were refused or got no decision.
func (o *outcome) failed() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.times) - o.allowed + len(o.errors)
}

// attackers are the process that attacks.
type attackers struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	answer *json.Decoder
}

// order is what the attackers are told.
type order struct {
	AMP, Audit string
	Flood      string // which; all kinds at random if it is empty
	Seed       uint64
}

const orderVariable = "ATTACK_ORDER"

// startAttackers starts them, and adds their namespaces to t. They wait for begin.
func (r *run) startAttackers(t tenants, o order) *attackers {
	text, err := json.Marshal(o)
	r.must(err)
	a := &attackers{cmd: exec.Command("/proc/self/exe")}
	a.cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	a.cmd.Stderr = os.Stderr
	endWithParent(a.cmd)
	a.stdin, err = a.cmd.StdinPipe()
	r.must(err)
	out, err := a.cmd.StdoutPipe()
	r.must(err)
	a.answer = json.NewDecoder(out)
	r.must(a.cmd.Start())
	r.atEnd(func() {
		_ = a.cmd.Process.Kill() // it may have ended already
		_ = a.cmd.Wait()
	})
	r.must(syscall.Setpriority(syscall.PRIO_PROCESS, a.cmd.Process.Pid, 19))
	r.must(a.answer.Decode(&t))
	return a
}

func (a *attackers) begin(amp *process) error {
	return json.NewEncoder(a.stdin).Encode(order{AMP: amp.url})
}

// end stops them. They say what they did, by attack.
func (a *attackers) end() (string, error) {
	if err := a.stdin.Close(); err != nil {
		return "", err
	}
	var done json.RawMessage
	err := a.answer.Decode(&done)
	return string(done), err
}

// assault is what the attackers do.
type assault interface {
	tenants() tenants               // that it needs
	fire(context.Context, order)    // until the context ends
	done() (json.RawMessage, error) // how much it did
}

// attackIfOrdered is main of the attackers.
func attackIfOrdered(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	dir := os.Getenv(insideVariable)
	roots, err := readRoots(filepath.Join(dir, "tls.crt"))
	if err != nil {
		return err
	}
	r := &run{world: &world{dir: dir, cert: &certificate{roots: roots}}, ctx: context.Background()}
	return r.do(func(r *run) {
		var all assault
		if o.Flood != "" {
			all = r.newFlooding(o.Flood)
		} else {
			all = r.newBattery(o)
		}
		r.must(json.NewEncoder(os.Stdout).Encode(all.tenants()))
		orders := json.NewDecoder(os.Stdin)
		r.must(orders.Decode(&o))
		ctx, cancel := context.WithCancel(r.ctx)
		go func() {
			_ = orders.Decode(&o) // ends with stdin
			cancel()
		}()
		all.fire(ctx, o)
		done, err := all.done()
		r.must(err)
		r.must(json.NewEncoder(os.Stdout).Encode(done))
	})
}
