package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Report is what a load tells its parent, as JSON on stdout.
type Report struct {
	Total   int     // requests, the warm-up included
	Counted int     // requests that ended within the measured time
	Failed  int     // of those with -rate: too late, or with a wrong answer
	Seconds float64 // the measured time
	P50     float64 // milliseconds
	P99     float64 // milliseconds
}

// loader sends the same POST again and again.
type loader struct {
	url, contentType, want string
	status                 int
	body                   []byte
	uid                    int   // where the counter of the review's uid stands, -1: it has none
	namespace              []int // where the number of the namespace stands
	namespaces             uint64
	client                 *http.Client
	sent                   atomic.Uint64
}

// load sends requests for a time or up to a number, and checks every answer. Without -rate, each caller sends the next
// request when the last was answered. With -rate, requests begin at times that do not depend on the answers, and the time
// of each counts from when it should have begun: so a slow answer cannot hide those that wait behind it.
func load(args []string) error {
	l := &loader{}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&l.url, "url", "", "where to")
	flags.StringVar(&l.contentType, "type", "application/json", "Content-Type")
	flags.StringVar(&l.want, "want", `"patch"`, "what every answer must contain")
	flags.IntVar(&l.status, "status", http.StatusOK, "the status of every answer")
	flags.Uint64Var(&l.namespaces, "namespaces", 1, "spread the reviews over so many namespaces")
	file := flags.String("body", "", "file of the body")
	ca, cert, key := flags.String("ca", "", "PEM file"), flags.String("cert", "", "PEM file"), flags.String("key", "", "PEM file")
	http1 := flags.Bool("http1", false, "HTTP/1.1, not HTTP/2")
	callers := flags.Int("callers", 16, "callers at the same time")
	warm, measured := flags.Duration("warm", 0, "not counted"), flags.Duration("for", time.Second, "counted")
	count := flags.Uint64("count", math.MaxUint64, "end after so many requests")
	rate := flags.Float64("rate", 0, "requests per second")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := l.prepare(*file, *ca, *cert, *key, *http1); err != nil {
		return err
	}
	var report Report
	var err error
	if *rate > 0 {
		report, err = l.open(*callers, *rate, *warm, *measured)
	} else {
		report, err = l.closed(*callers, *count, *warm, *measured)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// The placeholders in a review: the load counts in their last digits.
const (
	uidPlace       = "00000000-0000-4000-8000-000000000000"
	namespacePlace = "bench-00000"
)

func (l *loader) prepare(body, ca, cert, key string, http1 bool) (err error) {
	if l.body, err = os.ReadFile(body); err != nil {
		return err
	}
	if l.uid = bytes.Index(l.body, []byte(uidPlace)); l.uid >= 0 {
		l.uid += len(uidPlace) - 12
	}
	for at := 0; l.namespaces > 1; at += len(namespacePlace) {
		next := bytes.Index(l.body[at:], []byte(namespacePlace))
		if next < 0 {
			break
		}
		at += next
		l.namespace = append(l.namespace, at+len(namespacePlace)-5)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	l.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: !http1, MaxIdleConnsPerHost: 1024, DisableCompression: true,
	}}
	return nil
}

// buffer is a body for one caller.
func (l *loader) buffer() []byte { return bytes.Clone(l.body) }

// send sends one request. Its number makes the review's uid, and chooses its namespace.
func (l *loader) send(buffer []byte) error {
	n := l.sent.Add(1)
	if l.uid >= 0 {
		digits(buffer[l.uid:l.uid+12], n)
	}
	for _, at := range l.namespace {
		digits(buffer[at:at+5], n%l.namespaces)
	}
	req, err := http.NewRequest(http.MethodPost, l.url, bytes.NewReader(buffer))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", l.contentType)
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != l.status || !bytes.Contains(answer, []byte(l.want)) {
		return fmt.Errorf("expected status %d with %s; the answer is %s: %.600s", l.status, l.want, resp.Status, answer)
	}
	return nil
}

// digits writes n in decimal, with zeros in front.
func digits(into []byte, n uint64) {
	for i := len(into) - 1; i >= 0; i-- {
		into[i], n = byte('0'+n%10), n/10
	}
}

// closed is a load whose callers wait for their answers.
func (l *loader) closed(callers int, count uint64, warm, measured time.Duration) (Report, error) {
	from := time.Now().Add(warm)
	until := from.Add(measured)
	took := make([][]time.Duration, callers)
	err := together(callers, func(caller int) error {
		buffer := l.buffer()
		for time.Now().Before(until) && l.sent.Load() < count {
			start := time.Now()
			if err := l.send(buffer); err != nil {
				return err
			}
			if end := time.Now(); end.After(from) && end.Before(until) {
				took[caller] = append(took[caller], end.Sub(start))
			}
		}
		return nil
	})
	seconds := min(measured, time.Since(from)).Seconds() // less if the count was reached
	return l.report(took, seconds), err
}

// open is a load that begins requests at random times, at a rate: many callers who know nothing of each other.
func (l *loader) open(callers int, rate float64, warm, measured time.Duration) (Report, error) {
	random := rand.New(rand.NewPCG(1, 2)) // the same times in each run
	var times []time.Duration
	for at := 0.0; at < (warm + measured).Seconds(); at += random.ExpFloat64() / rate {
		times = append(times, time.Duration(at*float64(time.Second)))
	}
	start := time.Now()
	took := make([][]time.Duration, callers)
	var next, failed atomic.Int64
	err := together(callers, func(caller int) error {
		buffer := l.buffer()
		for {
			i := int(next.Add(1)) - 1
			if i >= len(times) {
				return nil
			}
			due := start.Add(times[i])
			time.Sleep(time.Until(due))
			// More than the server can take is a result: the error counts, and the time until it.
			if err := l.send(buffer); err != nil {
				failed.Add(1)
			}
			if times[i] >= warm {
				took[caller] = append(took[caller], time.Since(due))
			}
		}
	})
	report := l.report(took, measured.Seconds())
	report.Failed = int(failed.Load())
	return report, err
}

// together runs the callers and waits for them.
func together(callers int, call func(int) error) error {
	failed := make([]error, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() { failed[i] = call(i) })
	}
	group.Wait()
	return cmp.Or(failed...)
}

func (l *loader) report(took [][]time.Duration, seconds float64) Report {
	all := slices.Concat(took...)
	slices.Sort(all)
	at := func(share float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000
	}
	return Report{Total: int(l.sent.Load()), Counted: len(all), Seconds: seconds, P50: at(0.5), P99: at(0.99)}
}
