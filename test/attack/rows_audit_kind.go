package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// The rows in this file are others of the kinds in rows_audit.go.

// listedWithin asks for the list and fails the row if the answer is not there in time.
func (r *run) listedWithin(p *process, limit time.Duration, targets ...string) {
	for _, target := range targets {
		began := time.Now()
		status, text := r.send(p, "GET", target, "")
		took := time.Since(began)
		if status != 200 || len(text) == 0 {
			r.fail("%s: %d %.300s", target, status, text)
		}
		if took > limit {
			r.fail("%s took %v", target, took.Round(time.Millisecond))
		}
	}
}

// endlessPosts sends bodies that are small enough not to wait for a turn, and does not end them.
func endlessPosts(r *run) {
	p := r.startAudit(r.database())
	address := strings.TrimPrefix(p.url, "http://")
	const size = 256<<10 - 100
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: audit\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", structured, size)
	text := head + strings.Repeat(" ", size-1)
	all := r.open(3000, func(int) (net.Conn, error) { return net.DialTimeout("tcp", address, 20*time.Second) }, func(int) string { return text })
	r.listedWithin(p, 20*time.Second, "/api/values")
	r.saw("the last one is closed after %v", r.closedWithin(40*time.Second, all).Round(time.Second))
	r.lives(p)
}

// wholePosts sends bodies of which every three bytes are a value, many at once.
func wholePosts(r *run) {
	p := r.startAudit(r.database())
	body := event("a", "one", `,"endpoints":[`+list(80_000, "{}")+`]`)
	var posts sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 300 {
		posts.Go(func() {
			status := 0
			if resp, err := p.client.Post(p.url, structured, strings.NewReader(body)); err == nil {
				status = resp.StatusCode
				_ = resp.Body.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	posts.Wait()
	r.saw("%d bytes each; by status: %v", len(body), statuses)
	r.listedWithin(p, 20*time.Second, "/api/events", "/api/stats")
	r.lives(p)
}

// slowReaders ask for large pages and do not read them.
func slowReaders(r *run) {
	p := r.startAudit(r.database())
	call := `{"url":"http://` + strings.Repeat(`\u0001`, 2000) + `","status":200,"durationMs":1,"ops":0}`
	for i := range 40 {
		if status, text := r.send(p, "POST", "/", event(fmt.Sprint(i), "large", `,"endpoints":[`+list(32, call)+`]`), "Content-Type", structured); status != 204 {
			r.fail("%d %.300s", status, text)
		}
	}
	address := strings.TrimPrefix(p.url, "http://")
	r.open(1500, func(int) (net.Conn, error) {
		c, err := net.DialTimeout("tcp", address, 20*time.Second)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(4096)
		}
		return c, err
	}, func(i int) string {
		return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: audit\r\n\r\n", [...]string{"/api/events?limit=200", "/api/events/7", "/api/values", "/api/stats"}[i%4])
	})
	time.Sleep(5 * time.Second) // while they do not read
	r.listedWithin(p, 20*time.Second, "/api/values", "/api/events?limit=1")
	r.lives(p)
}

// manyValidations are forged: one id of 200 sources, and what /validate would have seen of them.
func manyValidations(r *run) {
	p := r.startAudit(r.database())
	calls := `,"endpoints":[` + list(32, `{"url":"http://`+strings.Repeat("x", 2000)+`","status":200,"durationMs":1,"ops":0}`) + `]`
	var wrong []error
	post := func(body string) {
		if status, text := r.send(p, "POST", "/", body, "Content-Type", structured); status != 204 {
			wrong = append(wrong, fmt.Errorf("%d %.300s", status, text))
		}
	}
	for i := range 200 {
		post(strings.Replace(event("x", "one", ""), "https://amp.txn2.com/proxy", fmt.Sprint("https://amp.txn2.com/", i), 1))
		validated := strings.ReplaceAll(event(fmt.Sprint("v", i), "one", calls+`,"mutation":"x"`), "mutated", "validated")
		post(strings.Replace(validated, `"operation":"mutate"`, `"operation":"validate"`, 1))
	}
	r.must(errors.Join(wrong...))
	before := p.cpu()
	r.listedWithin(p, 20*time.Second, "/api/events?limit=200&outcome=mutated")
	used := p.cpu() - before
	r.saw("a list costs %v of CPU", used)
	if used > time.Second {
		r.fail("too much")
	}
	r.lives(p)
}

// extremeNumbers are legal JSON, and nothing that amp says.
func extremeNumbers(r *run) {
	p := r.startAudit(r.database())
	for i, number := range []string{"1e308", "-1e308", "-1", "1e-300", "9007199254740993", "0"} {
		body := strings.Replace(event(fmt.Sprint(i), "one", `,"endpoints":[`+list(3, `{"url":"http://a","status":200,"durationMs":`+number+`,"ops":9223372036854775807}`)+`]`), `"durationMs":1,`, `"durationMs":`+number+`,`, 1)
		if status, text := r.send(p, "POST", "/", body, "Content-Type", structured); status != 204 && status != 400 {
			r.fail("%s: %d %.300s", number, status, text)
		}
	}
	r.listedWithin(p, 20*time.Second, "/api/events", "/api/stats", "/api/stats?user=mallory", "/api/values", "/api/events/0", "/api/events/3")
	r.saw("lists and charts go on")
	r.lives(p)
}

// manyTerms is a batch in which every name is a new one, and then readers whose filters fit nothing, many at once.
func manyTerms(r *run) {
	p := r.startAudit(r.database())
	began := time.Now()
	for batch := range 20 {
		events := make([]string, 200)
		for i := range events {
			name := fmt.Sprintf("n%d-%d", batch, i)
			events[i] = strings.ReplaceAll(event(name, name, `,"endpoints":[`+list(16, `{"url":"http://`+name+`-%d","status":200,"durationMs":1,"ops":0}`)+`]`), "mallory", name)
		}
		if status, text := r.send(p, "POST", "/", "["+strings.Join(events, ",")+"]", "Content-Type", "application/cloudevents-batch+json"); status != 204 {
			r.fail("%d %.300s", status, text)
		}
	}
	r.saw("4,000 events with 72,000 new names in %v", time.Since(began).Round(time.Second))
	var readers sync.WaitGroup
	for range 64 {
		readers.Go(func() {
			for i := range 20 {
				resp, err := p.client.Get(p.url + fmt.Sprintf("/api/events?user=zz%d&endpoint=yy%d&pod=xx", i, i))
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
		})
	}
	r.listedWithin(p, 20*time.Second, "/api/events?limit=50", "/api/stats", "/api/values")
	readers.Wait()
	r.lives(p)
}

// deepJSON is nested as deep as it fits, in each place that takes any JSON.
func deepJSON(r *run) {
	p := r.startAudit(r.database())
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	taken := 0
	for _, n := range []int{999, 9_000, 100_000, 4 << 20} {
		for _, more := range []string{`,"object":` + deep(n), `,"patch":[{"step":1,"op":"add","path":"/spec/x","value":` + deep(n) + `}]`, `,"unknown":` + deep(n)} {
			status, text := r.send(p, "POST", "/", event(fmt.Sprint(n, len(more)), "one", more), "Content-Type", structured)
			if status != 204 && status/100 != 4 {
				r.fail("%d levels: %d %.300s", n, status, text)
			}
			if status == 204 {
				taken++
				r.listedWithin(p, 20*time.Second, "/api/events/"+fmt.Sprint(n, len(more)))
			}
		}
	}
	r.listedWithin(p, 20*time.Second, "/api/events", "/api/stats")
	r.saw("%d of 12 are taken, the others refused", taken)
	r.lives(p)
}
