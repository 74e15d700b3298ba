package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/txn2/amp/internal/workload"
)

// setting is what a comparison varies.
type setting struct {
	name    string
	pod     int // bytes
	ops     int
	callers int
	http1   bool
	events  string // AMP_EVENTS
	batches bool   // the sink says that it takes batches

	candidate bool // the namespaces name one

	chain      int // endpoints that each Pod passes through; 0: one
	endpoints  int // different ones of all namespaces; 0: one
	namespaces int // that the reviews are spread over; 0: one
}

// centre is a sensible middle. The other settings differ from it in one thing.
var centre = setting{name: "5 KB, 12 operations, 16 callers, HTTP/2, no events", pod: 5000, ops: 12, callers: 16, events: "off"}

func (s setting) with(name string, change func(*setting)) setting {
	change(&s)
	s.name = name
	return s
}

// reviews compares amp with the bare forwarder.
func (b *bench) reviews() error {
	settings := []setting{
		centre,
		centre.with("HTTP/1.1, as the API server calls Services", func(s *setting) { s.http1 = true }),
		centre.with("events to an HTTP sink (async)", func(s *setting) { s.events = "async" }),
		centre.with("events to an HTTP sink that takes batches (async)", func(s *setting) { s.events, s.batches = "async", true }),
	}
	if !b.quick {
		settings = append(settings,
			centre.with("events required", func(s *setting) { s.events = "required" }),
			centre.with("Pod of 2 KB", func(s *setting) { s.pod = 2000 }),
			centre.with("Pod of 200 KB", func(s *setting) { s.pod = 200_000 }),
			centre.with("1 operation", func(s *setting) { s.ops = 1 }),
			centre.with("100 operations", func(s *setting) { s.ops = 100 }),
			centre.with("1 caller", func(s *setting) { s.callers = 1 }),
			centre.with("64 callers", func(s *setting) { s.callers = 64 }),
		)
	}
	for _, s := range settings {
		if err := b.compare(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// check compares amp with a forwarder that checks the patch in the plain way.
func (b *bench) check() error {
	amp, plain, stop, err := b.against(centre, "-check")
	defer stop()
	if err != nil {
		return err
	}
	rounds, err := alternate(b.rounds, b.side(amp, centre), b.side(plain, centre))
	if err != nil {
		return err
	}
	b.add(row{Group: "The check", Name: "reviews/s ÷ a forwarder that applies the patch with json-patch.v4 and decodes the Pod", Goal: atLeast(1.8),
		Values: ratios(rounds[0], rounds[1], sample.rate), Note: beside(rounds, sample.rate, "%.0f/s")})
	return nil
}

// against starts an endpoint, and amp and a forwarder with these flags before it. stop ends all of them, also after an error.
func (b *bench) against(s setting, flags ...string) (amp, other *process, stop func(), err error) {
	started := len(b.running)
	stop = func() {
		for _, p := range b.running[started:] {
			p.stop()
		}
	}
	endpoint, amp, err := b.pair(s)
	if err == nil {
		other, err = b.forwarder(endpoint, flags...)
	}
	return amp, other, stop, err
}

// pair starts an endpoint and amp before it.
func (b *bench) pair(s setting) (endpoint, amp *process, err error) {
	if err := os.WriteFile(b.path("patch.json"), workload.Patch(s.ops), 0o600); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(b.path("review.json"), workload.Review(s.pod), 0o600); err != nil {
		return nil, nil, err
	}
	if endpoint, err = b.endpoint(max(1, s.endpoints)); err != nil {
		return nil, nil, err
	}
	candidate := ""
	if s.candidate {
		new, err := b.endpoint(1)
		if err != nil {
			return nil, nil, err
		}
		candidate = "http://" + new.address
	}
	if err := os.WriteFile(b.path("namespaces.yaml"), s.manifests(endpoint.all, candidate), 0o600); err != nil {
		return nil, nil, err
	}
	env := []string{"AMP_NAMESPACES_FILE=" + b.path("namespaces.yaml"), "AMP_EVENTS=" + s.events}
	if s.events != "off" {
		args := []string{"sink"}
		if s.batches {
			args = append(args, "batches")
		}
		sink, err := b.serving(args...)
		if err != nil {
			return nil, nil, err
		}
		env = append(env, "K_SINK=http://"+sink.address)
	}
	if amp, err = b.proxy(env...); err != nil {
		return nil, nil, err
	}
	return endpoint, amp, b.untilRight(amp)
}

// manifests are the Namespaces. Their endpoints take turns; their candidate is the same, or "".
func (s setting) manifests(endpoints []string, candidate string) []byte {
	var b bytes.Buffer
	next := 0
	for i := range max(1, s.namespaces) {
		var urls []string
		for range max(1, s.chain) {
			urls = append(urls, "http://"+endpoints[next%len(endpoints)])
			next++
		}
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s%05d\n  labels: {amp.txn2.com/enabled: \"true\"}\n  annotations:\n    amp.txn2.com/ep: %q\n",
			strings.TrimSuffix(workload.Namespace, "00000"), i, strings.Join(urls, " "))
		if candidate != "" {
			fmt.Fprintf(&b, "    amp.txn2.com/candidate: %q\n", candidate)
		}
	}
	return b.Bytes()
}

// untilRight waits until a server answers a review with a patch.
func (b *bench) untilRight(p *process) error {
	body, err := os.ReadFile(b.path("review.json"))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if right(p.address, body) {
			return nil
		}
	}
	return fmt.Errorf("no right answer in 20 s: %s", p.said)
}

// right posts a review over a new connection, and reports whether the answer has a patch.
func right(address string, review []byte) bool {
	client := http.Client{Timeout: 5 * time.Second, Transport: insecure()}
	defer client.CloseIdleConnections()
	resp, err := client.Post("https://"+address+"/mutate/fail", "application/json", strings.NewReader(string(review)))
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	answer := make([]byte, 200)
	n, _ := resp.Body.Read(answer)
	return strings.Contains(string(answer[:n]), `"allowed":true`)
}

// insecure trusts any certificate: for probes of the programs that this one started.
func insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

// compare adds the rows of one setting.
func (b *bench) compare(s setting) error {
	amp, bare, stop, err := b.against(s)
	defer stop()
	if err != nil {
		return err
	}
	rounds, err := alternate(b.rounds, b.side(amp, s), b.side(bare, s))
	if err != nil {
		return err
	}
	rate, cost := atLeast(0.9), atMost(1.25)
	if s.events != "off" {
		rate, cost = atLeast(0.7), atMost(1.6)
	}
	note := beside(rounds, sample.rate, "%.0f/s")
	if s.events == "async" {
		dropped, err := amp.metric(`amp_events_total{result="dropped"}`)
		if err != nil {
			return err
		}
		note += fmt.Sprintf("; %.1f %% of the events dropped", 100*dropped/total(rounds[0]))
	}
	b.add(row{Group: "Reviews/s ÷ bare forwarder", Name: s.name, Goal: rate, Values: ratios(rounds[0], rounds[1], sample.rate), Note: note})
	b.add(row{Group: "CPU of a review ÷ bare forwarder", Name: s.name, Goal: cost, Values: ratios(rounds[0], rounds[1], sample.cost), Note: beside(rounds, sample.cost, "%.0f µs")})
	if s == centre {
		b.add(row{Group: "Memory of a review ÷ bare forwarder", Name: "allocations", Values: ratios(rounds[0], rounds[1], sample.allocs), Note: beside(rounds, sample.allocs, "%.0f")})
		b.add(row{Group: "Memory of a review ÷ bare forwarder", Name: "bytes allocated", Values: ratios(rounds[0], rounds[1], sample.bytes), Note: beside(rounds, sample.bytes, "%.0f B")})
	}
	return nil
}

// side is one side of a comparison: a round of reviews against a server.
func (b *bench) side(p *process, s setting) func() (sample, error) {
	return func() (sample, error) {
		before, err := p.usage()
		if err != nil {
			return sample{}, err
		}
		report, err := b.load(b.loadArgs(p, s, b.warm, b.measured)...)
		if err != nil {
			return sample{}, fmt.Errorf("%w; the server said: %s", err, p.said)
		}
		// The events that still wait are part of what these reviews cost.
		for s.events == "async" && p.cmd.Path == b.amp {
			if n, err := p.metric("amp_events_queue"); err != nil || n == 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		after, err := p.usage()
		return sample{report: report, used: after.minus(before)}, err
	}
}

// loadArgs are the arguments of a load of reviews.
func (b *bench) loadArgs(p *process, s setting, warm, measured time.Duration) []string {
	args := []string{"-url", "https://" + p.address + "/mutate/fail?timeout=2s", "-ca", b.path("ca.pem"), "-body", b.path("review.json"),
		"-callers", strconv.Itoa(s.callers), "-warm", warm.String(), "-for", measured.String()}
	if s.namespaces > 1 {
		args = append(args, "-namespaces", strconv.Itoa(s.namespaces))
	}
	if s.http1 {
		args = append(args, "-http1")
	}
	return args
}
