package certificates

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// callsCluster notes the calls of a reconciler, and fails those that it has an error for.
type callsCluster struct {
	data    map[string][]byte
	bundles map[string][][]byte // by the configuration
	errors  map[string]error    // by the call
	calls   []string
	after   func(call string) // nil: nothing happens
}

func (c *callsCluster) call(what string, do func()) error {
	c.calls = append(c.calls, what)
	if err := c.errors[what]; err != nil {
		return err
	}
	do()
	if c.after != nil {
		c.after(what)
	}
	return nil
}

func (c *callsCluster) Configurations(context.Context) (found []Configuration, missing []string, err error) {
	err = c.call("read configurations", func() {
		for _, name := range []string{"a", "b"} {
			found = append(found, Configuration{Name: name, Bundles: c.bundles[name], Write: func(_ context.Context, bundle []byte) error {
				return c.call("write "+name, func() { c.bundles[name] = slices.Repeat([][]byte{bundle}, 2) })
			}})
		}
	})
	return found, nil, err
}

func (c *callsCluster) Secret(context.Context) (s Secret, err error) {
	err = c.call("read Secret", func() {
		s = Secret{Data: c.data, Write: func(_ context.Context, data map[string][]byte) error {
			return c.call("write Secret", func() { c.data = data })
		}}
	})
	return s, err
}

// TestReconcile has what one reconciliation reads and writes, in this order, and when the next one is to come.
func TestReconcile(t *testing.T) {
	p := pair(t, time.Now(), time.Hour)
	stored, right := Stored{Serving: p, CAs: cas(p)}.write(nil), encode(cas(p))
	ended := pair(t, time.Now().Add(-2*time.Hour), time.Hour)
	old := Stored{Serving: p, CAs: cas(p, ended)}.write(nil)
	failed := errors.New("no answer")
	for name, test := range map[string]struct {
		data   map[string][]byte
		a, b   [][]byte
		errors map[string]error
		calls  string // after the two that read
		again  bool   // at once
		stale  bool   // the bundles stay as they are
		err    error
	}{
		"nothing to do":          {data: stored, a: [][]byte{right, right}, b: [][]byte{right}},
		"no Secret":              {calls: "read configurations, write Secret", again: true},
		"no bundle":              {data: stored, a: [][]byte{nil, nil}, b: [][]byte{nil}, calls: "write a, write b", again: true},
		"one bundle is wrong":    {data: stored, a: [][]byte{right, nil}, b: [][]byte{right}, calls: "write a", again: true},
		"a CA has ended":         {data: old, a: [][]byte{old[keyCAs]}, calls: "write Secret", again: true, stale: true},
		"the Secret has changed": {data: old, a: [][]byte{old[keyCAs]}, errors: map[string]error{"write Secret": ErrConflict}, calls: "write Secret", again: true},
		"the Secret fails":       {data: old, a: [][]byte{old[keyCAs]}, errors: map[string]error{"write Secret": failed}, calls: "write Secret", err: failed},
		"a configuration has changed": {data: stored, a: [][]byte{nil}, b: [][]byte{nil}, errors: map[string]error{"write a": ErrConflict},
			calls: "write a, write b", again: true},
		"a configuration fails": {data: stored, a: [][]byte{nil}, b: [][]byte{nil}, errors: map[string]error{"write a": failed},
			calls: "write a, write b", err: failed},
	} {
		t.Run(name, func(t *testing.T) {
			c := &callsCluster{data: test.data, bundles: map[string][][]byte{"a": test.a, "b": test.b}, errors: test.errors}
			r, err := NewReconciler(c, Config{Names: wanted.Names, Lifetime: time.Hour}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			requeueAfter, err := r.Reconcile(t.Context())
			if !errors.Is(err, test.err) || err == nil && (requeueAfter == 0) != test.again {
				t.Errorf("again after %v, error %v", requeueAfter, err)
			}
			want := []string{"read configurations", "read Secret"}
			if test.calls != "" {
				want = append(want, strings.Split(test.calls, ", ")...)
			}
			if !slices.Equal(c.calls, want) {
				t.Errorf("calls %q, want %q", c.calls, want)
			}
			for name, bundles := range c.bundles {
				if err == nil && test.errors == nil && !test.stale && slices.ContainsFunc(bundles, func(b []byte) bool { return !bytes.Equal(b, right) }) {
					t.Errorf("the bundles of %s are %q", name, bundles)
				}
			}
		})
	}
}

// TestAReplicaThatIsReadySince has a Secret deleted while a new replica reads the cluster for the first time. Between its
// two reads another replica wrote the first Secret and the bundles, and became ready.
func TestAReplicaThatIsReadySince(t *testing.T) {
	p := pair(t, time.Now(), time.Hour)
	c := &callsCluster{bundles: map[string][][]byte{"a": {nil, nil}, "b": {nil}}}
	c.after = func(call string) {
		if call == "read configurations" {
			c.bundles = map[string][][]byte{"a": {encode(cas(p)), encode(cas(p))}, "b": {encode(cas(p))}}
		}
	}
	r, err := NewReconciler(c, Config{Names: wanted.Names, Lifetime: time.Hour}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := read(c.data, time.Now())
	if err == nil || s.Next == nil || !contains(s.CAs, p.CA) {
		t.Errorf("a pair is to be served at once, or the CA of the other replica is lost: %v, %d CAs", err, len(s.CAs))
	}
}
