package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxWork is the processor time that a review may cost, in which amp is far above what it needs.
const maxWork = 3 * time.Second

// refusedCheaply asks an input once under each policy.
func (r *run) refusedCheaply(in input, want string) {
	t := tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	before := p.cpu()
	message := r.failedBy(p, in.name, in.pod)
	if !strings.Contains(message, want) {
		r.fail("the message is %.300s", message)
	}
	// What goes on after the answer counts, too.
	time.Sleep(time.Second)
	used := (p.cpu() - before) / 2
	r.saw("%v of CPU a review; refused: …%s…", used, want)
	if used > maxWork {
		r.fail("it cost too much")
	}
	r.lives(p)
}

func oneQuantity(r *run) { r.refusedCheaply(quantity("1e-99999999"), "exponent") }

func eightQuantities(r *run) {
	in, t := quantity("1e-999999999"), tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	o := p.together(r.ctx, 8, 8, fail, in.name, in.pod)
	r.allDecided(o, 8)
	r.saw("the last of 8 after %v", o.at(1).Round(time.Millisecond))
	if o.allowed > 0 || o.at(1) > patience {
		r.fail("%d of 8 are allowed, the last after %v", o.allowed, o.at(1))
	}
	r.lives(p)
}

func manyInserts(r *run) { r.refusedCheaply(inserts(""), "more than 100,000 values") }

func manyInsertsThatFail(r *run) {
	r.refusedCheaply(inserts(onlyTheLibraryFails), "more than 100,000 values")
}

func shortInsertsThatFail(r *run) { r.refusedCheaply(shortInserts(), "op 1303 (test") }

func manyLostKeys(r *run) {
	in, t := lostKeys(), tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	a := r.review(p, fail, in.name, in.pod)
	r.inTime(a)
	longest := 0
	for _, w := range a.Warnings {
		longest = max(longest, utf8.RuneCountInString(w))
	}
	patch := len(a.Patch)
	r.saw("allowed %v, %d warnings of at most %d characters, an answer of %d bytes for a patch of %d, a log line of %d", a.Allowed, len(a.Warnings), longest, a.size, patch, p.longestLine())
	if len(a.Warnings) > 32 || longest > 256 || p.longestLine() > 64<<10 || a.size > 4*patch/3+64<<10 {
		r.fail("more than the bounds")
	}
	r.lives(p)
}

func manyEndpoints(r *run) {
	e := r.serve(answers(label))
	in := manyURLs(e.url)
	p := r.startAmp(tenants{in.name: in.keys})
	message := r.failedBy(p, in.name, in.pod)
	a := r.review(p, fail, in.name, in.pod)
	size := 0
	for key, value := range a.AuditAnnotations {
		size += len(key) + len(value)
	}
	r.saw("%d calls; audit annotations of %d bytes, a log line of %d; %s", e.requests.Load(), size, p.longestLine(), message)
	if e.requests.Load() > 0 || size > 4096 || p.longestLine() > 16<<10 {
		r.fail("more than the bounds")
	}
	r.lives(p)
}

func longURL(r *run) {
	r.refusedCheaply(input{name: "long-url", pod: smallPod, keys: map[string]string{"amp.txn2.com/ep": "http://127.0.0.1/" + strings.Repeat("x", 250_000)}}, "allowed are at most")
}

func manyQuotes(r *run) {
	in := good()
	in.keys = map[string]string{"amp.txn2.com/creators": strings.Repeat(`"`, 250_000)}
	r.refusedCheaply(in, "allowed are at most")
}

// longNames are refused by the API server, after amp has seen them.
func longNames(r *run) {
	in := good()
	in.pod = strings.Replace(smallPod, `"name":"web"`, `"name":"`+strings.Repeat("ä", 720_000)+`","generateName":"`+strings.Repeat("ä", 720_000)+`"`, 1)
	r.manyAtOnce(in)
}

func manyLabels(r *run) {
	in := good()
	in.pod = strings.Replace(smallPod, `"labels":{`, `"labels":{`+list(250_000, `"a%d":""`)+`,`, 1)
	r.manyAtOnce(in)
}

func (r *run) manyAtOnce(in input) {
	t := tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	o := p.together(r.ctx, 96, 32, ignore, in.name, in.pod)
	r.allDecided(o, 96)
	r.saw("96 reviews, 32 at once, all decided, half within %v, a log line of %d", o.at(.5).Round(time.Millisecond), p.longestLine())
	if p.longestLine() > 64<<10 {
		r.fail("more than the bounds")
	}
	r.lives(p)
}

// longReviews are what no API server sends. What amp answers does not matter.
func longReviews(r *run) {
	in, t := good(), tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	long := strings.Repeat("ä", 3_400_000)
	review := reviewOf(in.name, in.pod)
	var all sync.WaitGroup
	for _, change := range [][2]string{
		{`"uid":"`, `"uid":"` + long}, {`"username":"`, `"username":"` + long}, {`"resource":"pods"`, `"resource":"` + long + `"`},
		{`"username":`, `"groups":[` + list(1_700_000, `"a"`) + `],"username":`}, {`"operation":"`, `"operation":"` + long},
		{`"namespace":"`, `"namespace":"` + long}, {`"name":"web",`, `"name":"` + long + `",`}, {`"kind":"AdmissionReview"`, `"kind":"` + long + `"`},
	} {
		body := strings.Replace(review, change[0], change[1], 1)
		for range 8 {
			all.Go(func() {
				if resp, err := p.client.Post(p.url+fail, "application/json", strings.NewReader(body)); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		}
	}
	all.Wait()
	if a := r.review(p, fail, in.name, in.pod); !a.Allowed {
		r.fail("afterwards: %s", a.message())
	}
	r.saw("a log line of %d", p.longestLine())
	if p.longestLine() > 64<<10 {
		r.fail("more than the bounds")
	}
	r.lives(p)
}

func largePods(r *run) { r.manyAtOnce(largePod()) }

func hangingPods(r *run) {
	in, t := hanging(1<<20), tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	o := p.together(r.ctx, 384, 128, ignore, in.name, in.pod)
	r.allDecided(o, 384)
	r.saw("384 reviews, 128 at once, all decided, the last after %v", o.at(1).Round(time.Millisecond))
	r.lives(p)
}

// largeAnswers is what no API server sends, but everybody on the network can.
func largeAnswers(r *run) {
	in, t := largePod(), tenants{}
	in.pod = podOf(6_900_000)
	in.endpoints = answersAll(`[{"op":"add","path":"/metadata/annotations/b","value":"` + strings.Repeat("y", 1_000_000) + `"}]`)
	r.with(t, in)
	p := r.startAmp(t)
	o := p.together(r.ctx, 128, 64, ignore, in.name, in.pod)
	r.allDecided(o, 128)
	r.saw("128 reviews, 64 at once, all decided")
	r.lives(p)
}

// endlessBodies sends most of each body and then nothing. A neighbour must be served meanwhile.
func endlessBodies(r *run) {
	in, t := good(), tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	body := reviewOf("good", podOf(6_900_000))
	done := make(chan error, 256)
	stop := make(chan struct{})
	for range 256 {
		go func() {
			// The reader gives all but the last byte, and ends with the row.
			req, err := http.NewRequestWithContext(r.ctx, http.MethodPost, p.url+fail, io.MultiReader(strings.NewReader(body[:len(body)-1]), until(stop)))
			if err == nil {
				req.Header.Set("Content-Type", "application/json")
				req.ContentLength = int64(len(body))
				var resp *http.Response
				if resp, err = p.client.Do(req); err == nil {
					err = resp.Body.Close()
				}
			}
			done <- err
		}()
	}
	worst, failed := time.Duration(0), 0
	for range 20 {
		a, err := p.ask(r.ctx, fail, in.name, in.pod)
		if err != nil || !a.Allowed {
			failed++
		} else {
			worst = max(worst, a.took)
		}
		time.Sleep(200 * time.Millisecond)
	}
	r.saw("meanwhile %d of a neighbour's 20 small reviews failed, the slowest took %v", failed, worst.Round(time.Millisecond))
	began := time.Now()
	for i := range 256 {
		select {
		case <-done:
		case <-time.After(15*time.Second - time.Since(began)):
			close(stop)
			r.lives(p)
			r.fail("%d of 256 are still open after 19 s", 256-i)
		}
	}
	close(stop)
	r.lives(p)
	if a := r.review(p, fail, in.name, in.pod); !a.Allowed {
		r.fail("afterwards: %s", a.message())
	}
}

// until is a reader that gives nothing until the channel is closed.
type until chan struct{}

func (u until) Read([]byte) (int, error) {
	<-u
	return 0, io.EOF
}

func copiesTogether(r *run) { r.notTogether(copies(), "copies more than 3 MiB") }
func nullsTogether(r *run)  { r.notTogether(nulls(), "contains null") }

// notTogether is about a chain of which each patch is good alone: the API server would refuse both together, under
// either policy.
func (r *run) notTogether(in input, want string) {
	t := tenants{}
	r.with(t, in)
	p := r.startAmp(t, "AMP_TIMEOUT=8s") // the row is about the answer, also on a busy machine
	for _, path := range []string{fail, ignore} {
		a := r.review(p, path, in.name, in.pod)
		_, err := a.stored()
		if err != nil {
			r.fail("%s: the API server refuses the answered patch: %v", path, err)
		}
		if path == ignore && !a.Allowed {
			r.fail("refused under Ignore: %s", a.message())
		}
		if len(a.Patch) > 0 {
			r.saw("%s: answered, and it applies", path)
		} else if strings.Contains(a.message(), want) {
			r.saw("%s: allowed %v, …%s…", path, a.Allowed, want)
		} else {
			r.fail("%s: %s", path, a.message())
		}
	}
	r.lives(p)
}

func wayOut(r *run) {
	in, t := optsOut(), tenants{}
	in.keys = map[string]string{"amp.txn2.com/validate": "true"}
	r.with(t, in)
	p := r.startAmp(t)
	r.saw("%s", r.failedBy(p, in.name, in.pod))
	for name, patch := range map[string]string{
		"as a whole map": `[{"op":"add","path":"/metadata/labels","value":{"app":"web","amp.txn2.com/enabled":"false"}}]`,
		"by a move":      `[{"op":"add","path":"/metadata/labels/x","value":"false"},{"op":"move","from":"/metadata/labels/x","path":"/metadata/labels/amp.txn2.com~1enabled"}]`,
		"all metadata":   `[{"op":"replace","path":"/metadata","value":{"name":"web","labels":{"amp.txn2.com/enabled":"false"}}}]`,
	} {
		t := tenants{}
		in.endpoints = answersAll(patch)
		r.with(t, in)
		p := r.startAmp(t)
		if message := r.failedBy(p, in.name, in.pod); !strings.Contains(message, "amp.txn2.com/enabled") {
			r.fail("%s: %s", name, message)
		}
	}
	r.lives(p)
}

func movedSecret(r *run) {
	in, t := hidesSecret(), tenants{}
	r.with(t, in)
	sink := r.serve(accepts)
	sink.keep = true
	p := r.startAmp(t, "K_SINK="+sink.url, "AMP_EVENTS=required")
	a := r.review(p, fail, in.name, in.pod)
	if after, err := a.stored(); err != nil || !strings.Contains(after, secret) {
		r.fail("the patch does not put it there: %s", a.message())
	}
	events := sink.kept()
	if len(events) != 1 || !json.Valid(events[0]) {
		r.fail("%d events", len(events))
	}
	if text := string(events[0]); strings.Contains(text, secret) || !strings.Contains(text, "[redacted]") {
		r.fail("the event is %s", text)
	}
	if strings.Contains(p.log(), secret) || strings.Contains(fmt.Sprint(a.Warnings, a.AuditAnnotations), secret) {
		r.fail("the log or the answer shows it")
	}
	r.saw("the event says [redacted], in both ops; log, warnings and audit annotations do not hold it")
	r.lives(p)
}
