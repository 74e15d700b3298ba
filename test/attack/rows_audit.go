package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const structured = "application/cloudevents+json"

// event is a CloudEvent as amp sends it, with more members of its data.
func event(id, namespace, more string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"https://amp.txn2.com/proxy","type":"com.txn2.amp.pod.mutated.v1","subject":"%s/web","time":%q,`+
		`"datacontenttype":"application/json","namespace":%q,"outcome":"mutated",`+
		`"data":{"level":"Patch","uid":%q,"namespace":%q,"pod":{"name":"web"},"user":"mallory","operation":"mutate","outcome":"mutated","failurePolicy":"Fail","durationMs":1%s}}`,
		id, namespace, time.Now().UTC().Format(time.RFC3339Nano), namespace, id, namespace, more)
}

// send makes a request and returns the status and the body.
func (r *run) send(p *process, method, target, body string, header ...string) (int, string) {
	req, err := http.NewRequestWithContext(r.ctx, method, p.url+target, strings.NewReader(body))
	r.must(err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.client.Do(req)
	if err != nil {
		r.lives(p)
	}
	r.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	r.must(err)
	return resp.StatusCode, string(text)
}

func (r *run) database() string {
	dir, err := os.MkdirTemp(r.dir, "audit-")
	r.must(err)
	return "AMP_AUDIT_DB=" + filepath.Join(dir, "events.db")
}

// ids are the ids of a list.
func ids(list string) (all []string) {
	var page struct{ Items []struct{ ID string } }
	if json.Unmarshal([]byte(list), &page) == nil {
		for _, item := range page.Items {
			all = append(all, item.ID)
		}
	}
	return all
}

// untilListed waits until the list holds n events, and returns their ids.
func (r *run) untilListed(p *process, n int) (all []string) {
	r.eventually(20*time.Second, func() string {
		status, list := r.send(p, "GET", "/api/events?limit=200", "")
		if all = ids(list); status != 200 || len(all) != n {
			return fmt.Sprintf("%d, the list holds %d events, not %d", status, len(all), n)
		}
		return ""
	})
	return all
}

func forgedFinal(r *run) {
	in, t := good(), tenants{}
	r.with(t, in)
	p := r.startAudit(r.database())
	amp := r.startAmp(t, "K_SINK="+p.url)
	r.review(amp, fail, in.name, in.pod)
	genuine := r.untilListed(p, 1)[0]
	for _, id := range []string{genuine + "/final", genuine} {
		if status, text := r.send(p, "POST", "/", event(id, in.name, `,"message":"nothing to see"`), "Content-Type", structured); status != 204 {
			r.fail("%d %s", status, text)
		}
	}
	listed := r.untilListed(p, 2)
	_, whole := r.send(p, "GET", "/api/events?namespace=good&outcome=mutated", "")
	_, detail := r.send(p, "GET", "/api/events/"+genuine+"?source=https%3A%2F%2Famp.txn2.com%2Fproxy", "")
	if !strings.Contains(strings.Join(listed, " ")+" ", genuine+" ") || !strings.Contains(whole, `"`+genuine+`"`) || strings.Contains(detail, "nothing to see") || !strings.Contains(detail, "/metadata/labels/team") {
		r.fail("the list is %v, the event %.500s", listed, detail)
	}
	r.saw("both are listed; the genuine event stays whole")
	r.lives(p)
}

func writeToken(r *run) {
	file := filepath.Join(r.dir, "write-token")
	r.must(os.WriteFile(file, []byte("t0ken"), 0o600))
	in, t := good(), tenants{}
	r.with(t, in)
	p := r.startAudit(r.database(), "AMP_AUDIT_WRITE_TOKEN_FILE="+file)
	sink := strings.Replace(p.url, "127.0.0.1", ownPrivate, 1)
	for _, authorization := range []string{"", "Bearer ", "Bearer t0ke", "Basic t0ken", "t0ken"} {
		if status, text := r.send(p, "POST", "/", event("forged", "good", ""), "Content-Type", structured, "Authorization", authorization); status != 401 {
			r.fail("%q: %d %s", authorization, status, text)
		}
	}
	amp := r.startAmp(t, "K_SINK="+sink, "AMP_EVENTS=required", "AMP_EVENTS_TOKEN_FILE="+file, "AMP_EVENTS_TOKEN_INSECURE=true")
	if a := r.review(amp, fail, in.name, in.pod); !a.Allowed {
		r.fail("%s", a.message())
	}
	r.untilListed(p, 1)
	r.saw("a stranger gets 401; amp's own event is stored")
	r.lives(p)
}

func largeEvents(r *run) {
	database := r.database()
	p := r.startAudit(database)
	var urls []string
	for range 12 << 20 / 4096 {
		urls = append(urls, `{"url":"http://`+strings.Repeat("x", 4070)+`","status":200,"durationMs":1,"ops":0}`)
	}
	more := `,"endpoints":[` + strings.Join(urls, ",") + `]`
	for i := range 40 {
		if status, text := r.send(p, "POST", "/", event(fmt.Sprint(i), "large", more), "Content-Type", structured); status != 204 {
			r.fail("%d %.300s", status, text)
		}
	}
	ask := func() {
		for _, target := range []string{"/api/stats", "/api/values", "/api/events/7"} {
			if status, text := r.send(p, "GET", target, ""); status != 200 {
				r.fail("%s: %d %.300s", target, status, text)
			}
		}
		all, pages := r.pages(p)
		if len(all) != 40 {
			r.fail("%d pages list %d events", pages, len(all))
		}
		r.saw("%d pages", pages)
		r.export(p)
	}
	ask()
	r.lives(p)
	r.stop(p)
	p = r.startAudit(database)
	ask()
	r.saw("all are taken and listed, also after a restart")
	r.lives(p)
}

// pages reads the whole list, page by page. It returns the ids of all events, and the number of pages.
func (r *run) pages(p *process) (all []string, pages int) {
	const most = 8 << 20 // bytes of a page
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		status, text := r.send(p, "GET", "/api/events?limit=200&cursor="+cursor, "")
		var page struct{ Next string }
		if err := json.Unmarshal([]byte(text), &page); status != 200 || err != nil || len(text) > most || pages > 40 {
			r.fail("page %d: %d, %d bytes: %.300s", pages+1, status, len(text), text)
		}
		all, cursor = append(all, ids(text)...), page.Next
	}
	return all, pages
}

// export begins to read all events and then leaves.
func (r *run) export(p *process) {
	resp, err := p.client.Get(p.url + "/api/events?format=ndjson")
	r.must(err)
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 40<<20)); n < 40<<20 {
		r.fail("the export: %s, %d bytes, %v", resp.Status, n, err)
	}
}

func badQueries(r *run) {
	p := r.startAudit(r.database())
	for i := range 3 {
		r.send(p, "POST", "/", event(fmt.Sprint(i), "one", ""), "Content-Type", structured)
	}
	queries := []string{"user=%zz", "user=a;namespace=b", "user=%ff", "usr=a", "user=a&user=b", "user=", "outcome=,", "outcome=nonsense",
		"limit=0", "limit=-1", "limit=9999999999999999999", "limit=x", "cursor=x", "cursor=%00", "from=never", "from=2h&to=3h", "format=xml", "%zz=a", "=a", "user=%00%zz", "namespace=" + strings.Repeat("a", 70_000)}
	for _, path := range []string{"/api/events", "/api/stats", "/api/values", "/api/events/stream"} {
		for _, query := range queries {
			status, text := r.send(p, "GET", path+"?"+query, "")
			if status/100 != 4 || len(text) > 1000 {
				r.fail("%s?%.60s: %d %.300s", path, query, status, text)
			}
		}
	}
	r.saw("%d queries, on each of 4 paths: 400", len(queries))
	r.lives(p)
}

func secondProcess(r *run) {
	database := r.database()
	first := r.startAudit(database)
	post := func(p *process, id string) int {
		status, _ := r.send(p, "POST", "/", event(id, "one", ""), "Content-Type", structured)
		return status
	}
	if status := post(first, "a"); status != 204 {
		r.fail("the first one: %d", status)
	}
	second := r.startAudit(database)
	status, text := r.send(second, "GET", "/", "")
	if status != 503 || post(second, "b") != 503 {
		r.fail("the second one: %d %s", status, text)
	}
	for i := range 50 {
		if status := post(first, fmt.Sprint("c", i)); status != 204 {
			r.fail("the first one: %d", status)
		}
		post(second, fmt.Sprint("d", i))
	}
	if log := first.log() + second.log(); strings.Contains(log, "UNIQUE") {
		r.fail("the logs: %.500s", log)
	}
	if n := len(r.untilListed(first, 51)); n != 51 {
		r.fail("%d events", n)
	}
	r.stop(first)
	if status := post(second, "e"); status != 204 {
		r.fail("when the first has ended: %d", status)
	}
	r.saw("503 and %q; the first one keeps all; when it ends, the second takes over", strings.TrimSpace(text))
	r.lives(second)
}

func silentStreams(r *run) {
	p := r.startAudit(r.database())
	stream := func() *http.Response {
		req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, p.url+"/api/events/stream", nil)
		r.must(err)
		resp, err := p.client.Transport.RoundTrip(req) // without the client's limit of time
		r.must(err)
		r.atEnd(func() { _ = resp.Body.Close() })
		return resp
	}
	for range 400 {
		if resp := stream(); resp.StatusCode != 200 {
			r.fail("%s", resp.Status)
		}
	}
	last := stream()
	if status, text := r.send(p, "POST", "/", event("a", "one", ""), "Content-Type", structured); status != 204 {
		r.fail("%d %s", status, text)
	}
	got := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(last.Body)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data:") {
				got <- lines.Text()
				return
			}
		}
		got <- fmt.Sprint("it ended: ", lines.Err())
	}()
	select {
	case line := <-got:
		if !strings.Contains(line, `"id":"a"`) {
			r.fail("the last stream says %.200s", line)
		}
	case <-time.After(10 * time.Second):
		r.fail("the last stream stays silent")
	}
	r.saw("400 streams and one more: the last one gets the event")
	r.lives(p)
}
