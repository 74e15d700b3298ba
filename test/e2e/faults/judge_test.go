package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/txn2/amp/test/e2e/harness"
	"github.com/txn2/amp/test/e2e/stress"
)

// judge checks what amp promises against all that was seen.
type judge struct {
	*testing.T
	w       *stress.World
	seen    *seen
	windows []stress.Window
	lags    *stress.Lags

	strict, lenient int // Pods that are stored mutated
}

// faulty reports whether a fault of a kind happened at any time between from and to, or ended less than grace before.
func (j *judge) faulty(is func(stress.Fault) bool, from, to time.Time, grace time.Duration) bool {
	return slices.ContainsFunc(j.windows, func(w stress.Window) bool {
		return is(w.Fault) && from.Before(w.To.Add(grace)) && to.After(w.From)
	})
}

// strictIsMutated: no Pod under Fail is stored as it was given.
func (j *judge) strictIsMutated() {
	for _, pod := range j.w.Strict.All() {
		if !stress.Mutated(&pod) {
			j.Errorf("under Fail, %s is stored and not mutated: %v", pod.Name, pod.Annotations)
			continue
		}
		j.strict++
	}
}

// lenientIsNotRefused: under Ignore only an API server that is away itself refuses a Pod.
func (j *judge) lenientIsNotRefused() {
	for _, c := range j.seen.creates {
		if c.Namespace != j.w.Lenient.Name || c.Err == nil {
			continue
		}
		if blamesAmp(c.Err) {
			j.Errorf("under Ignore, %s was refused: %v", c.Name, c.Err)
		} else if !j.faulty(func(f stress.Fault) bool { return f.API }, c.From, c.To, 5*time.Second) {
			j.Errorf("under Ignore, %s was refused at %v while the API server and etcd were well: %v", c.Name, c.From, c.Err)
		}
	}
}

// blamesAmp reports whether the API server gave an admission webhook as the reason.
func blamesAmp(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return false // no answer came, or none of the API server's
	}
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "webhook") || strings.Contains(text, "amp.txn2.com") || status.Status().Code == http.StatusForbidden
}

// limit is how long a review may take that began and ended at these times: on a machine that is too busy amp waits for a
// CPU.
func (j *judge) limit(from, to time.Time) time.Duration {
	return stress.Hard + j.lags.Between(from, to)
}

// inTime: no answer comes after its deadline, by the clock of the caller and by that of amp. An answer does come late if
// amp is stopped, or what is between it and its caller.
func (j *judge) inTime() {
	late := func(f stress.Fault) bool { return f.Late }
	for i, a := range j.seen.answers {
		limit := j.limit(a.From, a.To)
		if took := a.To.Sub(a.From); (took > limit || a.Status != http.StatusOK) && !j.faulty(late, a.From, a.To, time.Second) {
			j.Errorf("answer %d, at %v, took %v (limit %v): status %d, %v", i, a.From, took, limit, a.Status, a.Err)
		}
	}
	reviews, slowest := 0, time.Duration(0)
	for line := range strings.Lines(j.w.Logs()) {
		var l struct {
			Time time.Time `json:"time"`
			Msg  string    `json:"msg"`
			UID  string    `json:"uid"`
			MS   float64   `json:"ms"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg != "review" {
			continue // a line that was being written when amp was killed
		}
		reviews++
		took := time.Duration(l.MS * float64(time.Millisecond))
		from := l.Time.Add(-took)
		if j.faulty(late, from, l.Time, time.Second) {
			continue
		}
		slowest = max(slowest, took)
		if limit := j.limit(from, l.Time); took > limit {
			j.Errorf("by its own log, amp took %v for review %s (limit %v)", took, l.UID, limit)
		}
	}
	j.Logf("%d reviews in amp's logs; the slowest while amp ran took %v", reviews, slowest)
	if reviews < 500 {
		j.Error("there are too few reviews to judge by")
	}
}

// recorded: of every mutation that is stored there is exactly one event, and the audit function has all that it accepted.
func (j *judge) recorded() {
	// First, because amp may still be sending what waited for the sink.
	acknowledged := j.w.Acknowledged()
	events := map[string]harness.Event{}
	resp, err := http.Get(j.w.Audit.URL() + "/api/events?format=ndjson")
	if err != nil {
		j.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		e := harness.ParseStructured(lines.Bytes())
		if e.Faults != nil {
			j.Errorf("an event is not as it should be: %v\n%s", e.Faults, e.Raw)
		}
		if _, twice := events[e.Source+" "+e.ID]; twice {
			j.Errorf("event %s is there twice", e.ID)
		}
		events[e.Source+" "+e.ID] = e
	}
	if err := lines.Err(); err != nil || resp.StatusCode != http.StatusOK {
		j.Fatalf("the audit function answered %d: %v", resp.StatusCode, err)
	}
	for _, ns := range []*harness.Namespace{j.w.Strict, j.w.Lenient} {
		stamps := map[string]string{}
		for _, pod := range ns.All() {
			id := stress.Stamp(&pod)
			if ns == j.w.Lenient && !stress.Mutated(&pod) {
				if id != "" || len(pod.Spec.InitContainers) > 0 {
					j.Errorf("under Ignore, %s is stored half mutated: %v", pod.Name, pod.Annotations)
				}
				continue
			}
			if ns == j.w.Lenient {
				j.lenient++
			}
			if e, ok := events[stress.Source+" "+id]; !ok || e.Data.Outcome != "mutated" || e.Subject != ns.Name+"/"+pod.Name {
				j.Errorf("%s/%s is stored with the stamp %q, of which the audit function has no such event: %s", ns.Name, pod.Name, id, e.Raw)
			}
			if other, twice := stamps[id]; twice {
				j.Errorf("%s and %s have the same stamp", other, pod.Name)
			}
			stamps[id] = pod.Name
		}
	}
	for _, id := range acknowledged {
		if _, ok := events[stress.Source+" "+id]; !ok {
			j.Errorf("the audit function accepted event %s and does not have it", id)
		}
	}
	j.Logf("%d events in the audit function; it acknowledged %d, some again", len(events), len(acknowledged))
	if j.strict < 100 || j.lenient < 100 || len(acknowledged) < 200 {
		j.Errorf("there is too little to judge by: %d and %d Pods mutated", j.strict, j.lenient)
	}
}

// summary says what the clients saw during each fault.
func (j *judge) summary() {
	refused, open := 0, 0
	for _, w := range j.windows {
		var n, no, unmutated int
		for _, c := range j.seen.creates {
			if c.From.Before(w.To) && c.To.After(w.From) {
				n++
				if c.Err != nil {
					no++
				} else if !c.Mutated {
					unmutated++
				}
			}
		}
		aside, unpatched := 0, 0
		for _, a := range j.seen.answers {
			if a.From.Before(w.To) && a.To.After(w.From) {
				aside++
				if !a.Patched {
					unpatched++
				}
			}
		}
		refused, open = refused+no, open+unmutated
		j.Logf("%-42s %5.1f s  %4d creates, %3d failed, %3d not mutated; aside %3d reviews, %3d without a patch",
			w.Name, w.To.Sub(w.From).Seconds(), n, no, unmutated, aside, unpatched)
	}
	j.Logf("%d Pods are stored mutated under Fail, %d under Ignore", j.strict, j.lenient)
	if refused == 0 || open == 0 {
		j.Errorf("the faults did nothing: %d creates failed, %d Pods were not mutated", refused, open)
	}
}
