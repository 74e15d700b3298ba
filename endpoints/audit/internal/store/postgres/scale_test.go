package postgres

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/events"
)

const (
	// scaleDay is how many events the database of TestScale has of each day: with 30 days it has 10 million.
	scaleDay = 333_333
	// scaleBodies is how many different items and events fill its rows: to make each anew takes longer than to load it.
	scaleBodies = 20_000
	scaleTeams  = 500
	// scaleFree is what TestScale leaves of the disk. A day takes 300 MB.
	scaleFree = 6 << 30
)

// A figure is what TestScale measures with one size of the database.
type figure struct {
	Events, Bytes, Rows, Indexes int64 // bytes: of all, of rows, of indexes
	Load                         string
	Single, Batch                float64            // events a second that Add takes, from 32 callers, one each and 100 each
	P50, P99                     map[string]float64 // ms
}

// TestScale loads as many events as AMP_AUDIT_SCALE says, in millions (1,10), with COPY, and measures at each size how many
// events the store takes, and how long each filter takes. Without AMP_AUDIT_SCALE it loads some thousand, to see that it works.
// AMP_AUDIT_SCALE_OUT names a file for the figures. It ends early when less than 6 GiB of the disk are left.
func TestScale(t *testing.T) {
	sizes, perDay, rounds := []int{3}, 1000, 2 // days
	if at := os.Getenv("AMP_AUDIT_SCALE"); at != "" {
		sizes, perDay, rounds = nil, scaleDay, 100
		for text := range strings.SplitSeq(at, ",") {
			millions, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("AMP_AUDIT_SCALE: %v: want millions of events, as in 1,10", err)
			}
			sizes = append(sizes, int(millions*1e6/scaleDay+0.5))
		}
	}
	// As a database of that size has it: memory, and a disk that is waited for. What is loaded needs no log.
	server := postgrestest.Start(t, "shared_buffers=1GB", "maintenance_work_mem=256MB", "fsync=on", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=1GB")
	s, err := Open(Config{URL: server.URL(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &loader{t: t, s: s, now: dayOf(time.Now()), rng: rand.New(rand.NewPCG(1, 2)), perDay: perDay}
	l.prepare()
	var figures []figure
	for _, days := range sizes {
		began := time.Now()
		before := l.days
		for l.days < days {
			if left := free(t); left < scaleFree {
				t.Logf("%d MiB are left on the disk, so %d events are the most that fits", left>>20, l.seq)
				break
			}
			l.day()
		}
		took := time.Since(began)
		l.analyse()
		t.Logf("%d events; loaded %d days in %s", l.seq, l.days-before, took.Round(time.Second))
		f := l.measure(rounds)
		figures = append(figures, f)
		full := l.days < sizes[len(sizes)-1] && free(t) < scaleFree
		text, err := json.MarshalIndent(figures, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", text)
		if out := os.Getenv("AMP_AUDIT_SCALE_OUT"); out != "" {
			if err := os.WriteFile(out, text, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if full {
			return
		}
	}
}

// free returns how many bytes are left on the disk that holds the database.
func free(t testing.TB) int64 {
	var disk syscall.Statfs_t
	if err := syscall.Statfs("/tmp", &disk); err != nil {
		t.Fatal(err)
	}
	return int64(disk.Bavail) * int64(disk.Bsize)
}

// A loader fills a database day by day, from yesterday back.
type loader struct {
	t      testing.TB
	s      *Store
	now    time.Time // the beginning of today
	rng    *rand.Rand
	perDay int

	days int
	seq  int64
	ids  []string // of some events
	body []*row   // items and events, packed

	packer packed.Packer
}

// prepare makes the bodies: of each ten events four are of JupyterHub users' Pods, two of Deployments' Pods with as many
// validated ones, two of Jobs' Pods.
func (l *loader) prepare() {
	if err := l.s.ready(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	for n := range min(scaleBodies, 10*l.perDay) {
		item := l.item(n, l.now)
		id := uuid(l.rng)
		item.ID = id
		item.Type, item.Gist, item.Ops = "com.txn2.amp.pod."+item.Outcome+".v1", "3 changes: env TEAM, volume home, label team", 3
		d := events.Data{UID: id, Level: events.LevelPatch, Namespace: item.Namespace, Pod: events.Pod{Name: item.Name, GenerateName: item.GenerateName}, User: item.User,
			Operation: "mutate", Outcome: item.Outcome, FailurePolicy: "Fail", DurationMS: item.DurationMS, Mutation: item.Mutation,
			Endpoints: []events.Endpoint{{URL: item.Endpoints[0].URL, Status: 200, DurationMS: item.Endpoints[0].DurationMS, Ops: 3}},
			Patch: []events.Op{{Step: 1, Op: "add", Path: "/spec/containers/0/env/-", Value: json.RawMessage(`{"name":"TEAM","value":"[redacted]"}`)},
				{Step: 1, Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"home","persistentVolumeClaim":{"claimName":"home"}}`)},
				{Step: 1, Op: "add", Path: "/metadata/labels/team", Value: json.RawMessage(`"` + item.Namespace + `"`)},
				{Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: json.RawMessage(`"` + id + `"`)}}}
		raw, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": item.Source, "type": item.Type, "time": item.Time, "subject": item.Namespace + "/" + store.PodKey(item),
			"datacontenttype": "application/json", "dataschema": "https://amp.txn2.com/schemas/events.v1.json", "namespace": item.Namespace, "outcome": item.Outcome, "data": d})
		if err != nil {
			l.t.Fatal(err)
		}
		text, err := json.Marshal(item)
		if err != nil {
			l.t.Fatal(err)
		}
		r := &row{event: &store.Event{Item: item, Raw: raw}}
		r.item, r.raw = l.packer.Pack(text, raw)
		l.body = append(l.body, r)
	}
}

func uuid(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

// item returns what filters and charts see of the n-th event.
func (l *loader) item(n int, at time.Time) *store.Item {
	rng := l.rng
	team := 0 // a third of all
	if rng.IntN(3) > 0 {
		team = rng.IntN(scaleTeams)
	}
	ns := "team-" + strconv.Itoa(team)
	i := &store.Item{Source: "https://amp.example/cluster-" + strconv.Itoa(team%50), Time: at, Outcome: outcome.Mutated, Namespace: ns, DurationMS: 1 + rng.ExpFloat64()*8,
		Endpoints: []store.Call{{URL: fmt.Sprintf("http://hook-%d.platform.svc/mutate", 2*rng.IntN(10)+team%2), DurationMS: 1 + rng.ExpFloat64()*5}}}
	switch r := rng.IntN(1000); {
	case r < 3:
		i.Outcome = outcome.Rejected
	case r < 8:
		i.Outcome = outcome.FailedOpen
	case r < 150:
		i.Outcome = outcome.Unchanged
	}
	switch kind := n % 10; {
	case kind < 4:
		i.Name, i.User = "jupyter-user-"+strconv.Itoa(rng.IntN(50_000)), "system:serviceaccount:"+ns+":hub"
	case kind < 8 && kind%2 == 0:
		i.GenerateName, i.User = fmt.Sprintf("web-%010x-", uint32(rng.IntN(20_000))*2654435761), "system:serviceaccount:kube-system:replicaset-controller"
	case kind < 8:
		i.Name = fmt.Sprintf("web-%010x-%s", uint32(rng.IntN(20_000))*2654435761, strconv.FormatInt(int64(60466176/36+rng.IntN(58000000)), 36)[:5])
		i.User, i.Outcome, i.Mutation = "system:serviceaccount:kube-system:replicaset-controller", outcome.Validated, uuid(rng)
	default:
		i.Name, i.User = "batch-"+strconv.Itoa(n), "system:serviceaccount:kube-system:job-controller"
	}
	return i
}

// day loads one more day, as the partition of it. PostgreSQL makes its indexes when it is attached.
func (l *loader) day() {
	ctx := l.t.Context()
	from := l.now.AddDate(0, 0, -1-l.days)
	name := partPrefix + from.Format(partLayout)
	sums := store.NewSums()
	var sample []*row
	n := 0
	step := day / time.Duration(l.perDay)
	source := pgx.CopyFromFunc(func() ([]any, error) {
		if n == l.perDay {
			return nil, nil
		}
		at := from.Add(time.Duration(n) * step).Truncate(time.Microsecond)
		item := l.item(l.days*l.perDay+n, at)
		item.ID = uuid(l.rng)
		sums.Add(item, func(i int) int64 { return hash(kindEndpoint, item.Endpoints[i].URL) })
		b := l.body[l.rng.IntN(len(l.body))]
		if n%1000 == 0 {
			sample = append(sample, &row{event: &store.Event{Item: item}, at: at})
			l.ids = append(l.ids, item.ID)
		}
		var mutation, uid any
		if item.Mutation != "" {
			mutation, uid = hash(kindID, item.Mutation), uuid(l.rng)
		}
		n++
		l.seq++
		return []any{at, l.seq, hash(kindID, item.ID), hash(kindSource, item.Source), item.Outcome, false, store.PodKey(item), mutation, uid, wordsOf(item), b.item, b.raw}, nil
	})
	err := pgx.BeginFunc(ctx, l.s.write, func(tx pgx.Tx) error {
		make := fmt.Sprintf("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; CREATE TABLE %s (LIKE audit_events) WITH (toast_tuple_target = 1024)", name)
		if _, err := tx.Exec(ctx, make); err != nil {
			return err
		}
		columns := []string{"at", "seq", "id", "source", "outcome", "superseded", "pod", "mutation", "uid", "words", "item", "event"}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{name}, columns, source); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf("ALTER TABLE audit_events ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", name, from.Format(time.RFC3339), from.AddDate(0, 0, 1).Format(time.RFC3339))); err != nil {
			return err
		}
		before, err := readSums(ctx, tx, sums)
		if err != nil {
			return err
		}
		batch := new(pgx.Batch)
		l.s.queueTerms(batch, sample)
		queueSums(batch, sums, before)
		batch.Queue("UPDATE audit_meta SET seq = $1", l.seq)
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.days++
	l.t.Logf("day %d", l.days)
}

// analyse does what autovacuum does by and by.
func (l *loader) analyse() {
	conn, err := l.s.write.Acquire(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Release()
	for _, statement := range []string{"SET statement_timeout = 0", "VACUUM ANALYZE", "CHECKPOINT", "RESET statement_timeout"} {
		if _, err := conn.Exec(l.t.Context(), statement); err != nil {
			l.t.Fatal(err)
		}
	}
}
