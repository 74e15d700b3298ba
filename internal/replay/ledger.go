package replay

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

const (
	// remembered is how many events are known by their id at a time: a duplicate or a final verdict that comes later than
	// that is not recognized. An entry takes about a hundred bytes.
	remembered = 1 << 18
	// maxKinds bounds the kinds of difference that are told apart.
	maxKinds = 200
	// maxExamples is how many examples a kind has.
	maxExamples = 3
	// otherKinds stands for the kinds beyond these.
	otherKinds = "of other kinds"
	// final is how the id of an event ends that supersedes another one.
	final = "/final"
)

// ledger counts each event once. Of several verdicts about a review, the final one counts, in whichever order they come.
// It is safe for concurrent use.
type ledger struct {
	seed    maphash.Seed
	mutex   sync.Mutex
	entries map[uint64]*entry
	ring    []uint64 // the keys of entries, the oldest at next
	next    int
	groups  map[key]*group
	kinds   int             // of differences
	pods    map[Verdict]int // that were asked about, and count
	events  int             // that came
}

// entry is one event.
type entry struct {
	here       bool // the event itself came, not only the one that supersedes it
	superseded bool // by a final verdict
	counted    []*group
	verdict    Verdict // empty if it was not asked about, or not yet
	number     int     // of its examples
}

// key is what the events of a group have in common.
type key struct {
	verdict Verdict
	kind    string
	left    Left
}

type group struct {
	key
	events   int
	examples []Example // those that came first
}

func newLedger() *ledger {
	return &ledger{seed: maphash.MakeSeed(), entries: map[uint64]*entry{}, groups: map[key]*group{}, pods: map[Verdict]int{}}
}

// enter notes that an event came, and returns its entry. It returns nil for one that is left, which it counts itself.
func (l *ledger) enter(n numbered, e *envelope, left Left) (*entry, Example) {
	example := Example{Where: n.Where, number: n.number}
	if e != nil {
		example.Event = e.ID
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.events++
	if left != "" {
		l.group(key{left: left}).add(example)
		return nil, example
	}
	if base, is := strings.CutSuffix(e.ID, final); is {
		first := l.entry(e.Source, base)
		if first.superseded = true; len(first.counted) > 0 || first.verdict != "" {
			l.take(first)
			l.group(key{left: LeftSuperseded}).add(Example{Event: base, number: first.number})
		}
	}
	own := l.entry(e.Source, e.ID)
	switch {
	case own.here:
		l.group(key{left: LeftDuplicate}).add(example)
		return nil, example
	case own.superseded || n.Superseded:
		own.here = true
		l.group(key{left: LeftSuperseded}).add(example)
		return nil, example
	}
	own.here, own.number = true, n.number
	return own, example
}

// entry returns what is known of an event.
func (l *ledger) entry(source, id string) *entry {
	hash := maphash.Comparable(l.seed, [2]string{source, id})
	e := l.entries[hash]
	if e != nil {
		return e
	}
	if len(l.ring) < remembered {
		l.ring = append(l.ring, hash)
	} else {
		delete(l.entries, l.ring[l.next])
		l.ring[l.next] = hash
		l.next = (l.next + 1) % remembered
	}
	e = &entry{}
	l.entries[hash] = e
	return e
}

// leave counts an event that is not replayed.
func (l *ledger) leave(e *entry, left Left, example Example) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if e.superseded {
		left = LeftSuperseded
	}
	e.put(l.group(key{left: left}), example)
}

// count counts a Pod that was asked about, and what was found, each kind of it once. It returns how many Pods were asked
// about.
func (l *ledger) count(e *entry, verdict Verdict, findings []finding, example Example) (pods int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if e.superseded { // while it was asked about
		e.put(l.group(key{left: LeftSuperseded}), example)
	} else {
		e.verdict = verdict
		l.pods[verdict]++
		for i := range findings {
			example.Differences = findings[i].words
			e.put(l.group(key{verdict: verdict, kind: findings[i].kind}), example)
		}
	}
	for _, n := range l.pods {
		pods += n
	}
	return pods
}

// group returns the group with a key.
func (l *ledger) group(k key) *group {
	g := l.groups[k]
	if g == nil && k.left == "" {
		if l.kinds == maxKinds {
			k.kind = otherKinds
			g = l.groups[k]
		} else {
			l.kinds++
		}
	}
	if g == nil {
		g = &group{key: k}
		l.groups[k] = g
	}
	return g
}

// put counts an event in a group, once.
func (e *entry) put(g *group, example Example) {
	if !slices.Contains(e.counted, g) {
		e.counted = append(e.counted, g)
		g.add(example)
	}
}

func (g *group) add(example Example) {
	g.events++
	at, _ := slices.BinarySearchFunc(g.examples, example.number, func(e Example, number int) int { return e.number - number })
	if at < maxExamples {
		g.examples = slices.Insert(g.examples, at, example)
		g.examples = g.examples[:min(len(g.examples), maxExamples)]
	}
}

// take takes an event out of its groups.
func (l *ledger) take(e *entry) {
	for _, g := range e.counted {
		g.events--
		g.examples = slices.DeleteFunc(g.examples, func(x Example) bool { return x.number == e.number })
	}
	if e.verdict != "" {
		l.pods[e.verdict]--
	}
	e.counted, e.verdict = nil, ""
}
