package audit

import (
	"context"
	"database/sql"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

// A filter says which events are wanted. Its zero value wants all.
type filter struct {
	Namespace string
	// Pod is the beginning of a Pod's name, or of one of its parts. A whole name also finds what was
	// answered before the API server made that name out of a generateName.
	Pod      string
	Outcomes []string
	// Endpoint and User are whole values or, where there is no such value, parts of one.
	Endpoint, User string
	From, To       time.Time // To is not part of the range
}

// The parameters that every list takes, and what they may be.
var filterParameters = []string{"namespace", "pod", "outcome", "endpoint", "user", "from", "to"}

// parseFilter reads a filter from the query of an address. Of parameters that it does not know it allows
// others, and nothing else: a filter that was misspelt would show everything instead of nothing.
func parseFilter(q url.Values, now time.Time, others ...string) (filter, error) {
	var f filter
	allowed := slices.Concat(filterParameters, others)
	for name, values := range q {
		if !slices.Contains(allowed, name) {
			return f, bad("unknown parameter %.60q: there are %s", name, strings.Join(allowed, ", "))
		}
		if len(values) > 1 && name != "outcome" {
			return f, bad("parameter %s: it is there %d times, want it once", name, len(values))
		}
		for _, v := range values {
			if len(v) > maxText {
				return f, bad("parameter %s: it is longer than %d bytes", name, maxText)
			}
		}
	}
	f.Namespace = strings.TrimSpace(q.Get("namespace"))
	f.Pod = strings.ToLower(strings.TrimSpace(q.Get("pod")))
	f.Endpoint = strings.TrimSpace(q.Get("endpoint"))
	f.User = strings.TrimSpace(q.Get("user"))
	for _, list := range q["outcome"] {
		for o := range strings.SplitSeq(list, ",") {
			switch o = strings.TrimSpace(o); {
			case o == "":
			case !slices.Contains(outcomes, o):
				return f, bad("parameter outcome: %.40q is none: want one or several, separated by commas, of %s", o, strings.Join(outcomes, ", "))
			case !slices.Contains(f.Outcomes, o):
				f.Outcomes = append(f.Outcomes, o)
			}
		}
	}
	var err error
	if f.From, err = parseTime("from", q.Get("from"), now); err != nil {
		return f, err
	}
	if f.To, err = parseTime("to", q.Get("to"), now); err != nil {
		return f, err
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return f, bad("parameters from and to: from has to be before to")
	}
	return f, nil
}

// parseTime reads a point in time, or how long ago it was.
func parseTime(name, v string, now time.Time) (time.Time, error) {
	if v = strings.TrimSpace(v); v == "" {
		return time.Time{}, nil
	}
	// A plus sign that was not escaped in the address has become a blank.
	t, err := time.Parse(time.RFC3339, strings.Replace(v, " ", "+", 1))
	if err != nil {
		ago, ok := parseAgo(v)
		if !ok {
			return time.Time{}, bad("parameter %s: %.60q is no time: want one as in RFC 3339 (2026-01-31T15:04:05Z), or how long ago (15m, 1h30m, 7d)", name, v)
		}
		t = now.Add(-ago)
	}
	// The store's keys hold no others.
	if t.Year() < 1970 || t.Year() > 3000 {
		return time.Time{}, bad("parameter %s: want a time between the years 1970 and 3000", name)
	}
	return t, nil
}

func parseAgo(v string) (time.Duration, bool) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, err := strconv.Atoi(strings.TrimSuffix(v, unit)); err == nil && strings.HasSuffix(v, unit) {
			return time.Duration(n) * length, n >= 0 && n < 5000
		}
	}
	d, err := time.ParseDuration(v)
	return d, err == nil && d >= 0
}

// wanted is a filter in terms of the database: a query of the index, and what has to be looked at besides.
type wanted struct {
	match    string // of the index; empty: no filter goes by it
	nothing  bool   // something that was asked for is nowhere in the database
	pod      string // to compare each event's with: so many names fit that the index only narrows them down
	from, to int64  // keys
	// For the stream: what namespace, endpoint and user compare with.
	filter                   filter
	endpointWhole, userWhole bool
}

// maxAlternatives bounds the terms that one filter may stand for: each costs the index about 0.1 ms.
const maxAlternatives = 256

// resolve looks a filter's values up in the dictionary.
func (f filter) resolve(ctx context.Context, tx *sql.Tx) (*wanted, error) {
	w := &wanted{filter: f, to: 1<<63 - 1}
	if !f.From.IsZero() {
		w.from = keyOf(f.From)
	}
	if !f.To.IsZero() {
		w.to = keyOf(f.To)
	}
	var all []string // to be ANDed
	any := func(words []string) {
		switch len(words) {
		case 0:
			w.nothing = true
		case 1:
			all = append(all, words[0])
		default:
			all = append(all, "("+strings.Join(words, " OR ")+")")
		}
	}
	var ns int64
	if f.Namespace != "" {
		ids, _, err := lookUp(ctx, tx, kindNamespace, f.Namespace, false)
		if err != nil {
			return nil, err
		}
		if len(ids) > 0 {
			ns = ids[0]
		}
		any(termWords(ids))
	}
	if len(f.Outcomes) > 0 {
		var words []string
		for _, o := range f.Outcomes {
			words = append(words, outcomeWord(o))
		}
		any(words)
	}
	for _, text := range []struct {
		name, kind, value string
		whole             *bool
	}{{"endpoint", kindEndpoint, f.Endpoint, &w.endpointWhole}, {"user", kindUser, f.User, &w.userWhole}} {
		if text.value == "" {
			continue
		}
		ids, whole, err := lookUp(ctx, tx, text.kind, text.value, true)
		if err != nil {
			return nil, err
		}
		if len(ids) > maxAlternatives {
			return nil, bad("parameter %s: more than %d of them contain %.60q: give more of it", text.name, maxAlternatives, text.value)
		}
		*text.whole = whole
		any(termWords(ids))
	}
	if f.Pod != "" && !w.nothing {
		words, all, err := podWords(ctx, tx, f.Pod, ns)
		if err != nil {
			return nil, err
		}
		any(words)
		if !all {
			w.pod = f.Pod
		}
	}
	w.match = strings.Join(all, " AND ")
	return w, nil
}

// lookUp returns the terms for a value: itself or, if asked for and there is none, those that contain it.
func lookUp(ctx context.Context, tx *sql.Tx, kind, value string, contains bool) (ids []int64, whole bool, err error) {
	id := func(scan func(...any) error) (id int64, err error) { return id, scan(&id) }
	rows, err := tx.QueryContext(ctx, "SELECT id FROM terms WHERE kind = ? AND ns = 0 AND value = ?", kind, value)
	if err != nil {
		return nil, false, err
	}
	if ids, err = collect(rows, id); err != nil || len(ids) > 0 || !contains {
		return ids, true, err
	}
	// Not LIKE, whose wildcards would have to be escaped.
	rows, err = tx.QueryContext(ctx, "SELECT id FROM terms WHERE kind = ? AND ns = 0 AND instr(lower(value), lower(?)) > 0 LIMIT ?", kind, value, maxAlternatives+1)
	if err != nil {
		return nil, false, err
	}
	ids, err = collect(rows, id)
	return ids, false, err
}

func termWords(ids []int64) []string {
	var words []string
	for _, id := range ids {
		words = append(words, termWord(id))
	}
	return words
}

// podWords returns the index's words for the Pods that pod may mean, in one namespace if ns says so. exact is
// false if events of others have one of them too.
func podWords(ctx context.Context, tx *sql.Tx, pod string, ns int64) (words []string, exact bool, err error) {
	scope, args := "words.ns >= ?", []any{int64(0)}
	if ns != 0 {
		scope, args = "words.ns = ?", []any{ns}
	}
	args = slices.Clip(args)
	id := func(scan func(...any) error) (id int64, err error) { return id, scan(&id) }
	// Names and generateNames that begin so.
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT term FROM words WHERE "+scope+" AND word >= ? AND word < ? LIMIT ?",
		append(args, pod, pod+"\U0010FFFF", maxAlternatives+1)...)
	if err != nil {
		return nil, false, err
	}
	begin, err := collect(rows, id)
	if err != nil {
		return nil, false, err
	}
	if exact = len(begin) <= maxAlternatives; exact {
		words = termWords(begin)
	} else {
		words = beginningsOf(pod)
	}
	// The generateNames that pod may have been made of.
	for _, prefix := range generatedFrom(pod) {
		rows, err := tx.QueryContext(ctx, "SELECT DISTINCT term FROM words JOIN terms ON terms.id = term WHERE "+scope+" AND word = ? AND kind = ? LIMIT ?",
			append(args, prefix, kindGenerate, maxAlternatives)...)
		if err != nil {
			return nil, false, err
		}
		more, err := collect(rows, id)
		if err != nil {
			return nil, false, err
		}
		words = append(words, termWords(more)...)
	}
	// The mutations of those Pods that /validate has seen under such a name.
	if exact && len(begin) > 0 {
		mutated, err := mutationsOf(ctx, tx, strings.Join(termWords(begin), " OR "))
		if err != nil {
			return nil, false, err
		}
		words = append(words, mutated...)
	}
	return words, exact, nil
}

// mutationsOf returns the words of the mutated events that the newest validated ones among match point to.
func mutationsOf(ctx context.Context, tx *sql.Tx, match string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT m.id, vb.item, mb.item FROM idx
		JOIN events v ON v.id = idx.rowid JOIN events m ON m.eid = v.mutation AND m.source = v.source
		JOIN bodies vb ON vb.id = v.id JOIN bodies mb ON mb.id = m.id
		WHERE idx MATCH ? ORDER BY idx.rowid DESC LIMIT 64`,
		"("+match+") AND "+outcomeWord(outcomeOf[events.Validated]))
	if err != nil {
		return nil, err
	}
	words, err := collect(rows, func(scan func(...any) error) (string, error) {
		var id int64
		var v, m []byte
		if err := scan(&id, &v, &m); err != nil {
			return "", err
		}
		if validated, mutated, err := decodeItems(v, m); err != nil {
			return "", err
		} else if !joins(validated, mutated) {
			return "", nil // anyone can write the stamp
		}
		return mutatedWord(id), nil
	})
	return slices.DeleteFunc(words, func(w string) bool { return w == "" }), err
}

// joins reports whether a validated event may be of the Pod that the mutated one is about. Its stamp points
// there, but anyone can write that.
func joins(validated, mutated *Item) bool {
	if mutated.Outcome != outcomeOf[events.Mutated] || validated.Namespace != mutated.Namespace || validated.Source != mutated.Source || validated.Mutation != mutated.ID {
		return false
	}
	if mutated.Name != "" {
		return validated.Name == mutated.Name
	}
	return strings.HasPrefix(validated.Name, generatedPrefix(mutated.GenerateName))
}

// The API server's rule for names: of a generateName it keeps 58 bytes and adds five characters.
const (
	maxGenerate = 58
	suffixBytes = 5
)

// generatedPrefix returns what the names made of a generateName begin with.
func generatedPrefix(generateName string) string {
	return generateName[:min(len(generateName), maxGenerate)]
}

// generatedFrom returns the prefixes that pod, or the part of it that was typed, may have been made of.
func generatedFrom(pod string) []string {
	var prefixes []string
	for n := len(pod) - 1; n > 0 && n >= len(pod)-suffixBytes && pod[n] != '-'; n-- {
		prefixes = append(prefixes, pod[:n])
	}
	return prefixes
}

// podKey spells a Pod for comparisons: its name, or what its name will begin with and a star.
func podKey(pod events.Pod) string {
	if pod.Name != "" {
		return strings.ToLower(pod.Name)
	}
	return strings.ToLower(generatedPrefix(pod.GenerateName)) + "*"
}

// podFits reports whether a podKey is one that podWords would have found for pod.
func podFits(key, pod string) bool {
	value, generated := strings.CutSuffix(key, "*")
	for _, word := range wordsOf(value) {
		if strings.HasPrefix(word, pod) || generated && slices.Contains(generatedFrom(pod), word) {
			return true
		}
	}
	return false
}

// wordsOf returns a name from the start of each of its parts, of eight at most.
func wordsOf(name string) []string {
	name = strings.ToLower(name)
	words := []string{name}
	for i := 0; i+1 < len(name) && len(words) < 8; i++ {
		if name[i] == '-' || name[i] == '.' {
			words = append(words, name[i+1:])
		}
	}
	return words
}

// fits reports whether an event that has just arrived is wanted.
func (w *wanted) fits(key int64, pod string, item *Item) bool {
	f := &w.filter
	same := func(value, want string, whole bool) bool {
		return want == "" || value == want || !whole && strings.Contains(strings.ToLower(value), strings.ToLower(want))
	}
	return key >= w.from && key < w.to &&
		same(item.Namespace, f.Namespace, true) && same(item.User, f.User, w.userWhole) &&
		(len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, item.Outcome)) &&
		(f.Endpoint == "" || slices.ContainsFunc(item.Endpoints, func(c ItemCall) bool { return same(c.URL, f.Endpoint, w.endpointWhole) })) &&
		(f.Pod == "" || podFits(pod, f.Pod))
}

func (f filter) isZero() bool {
	return f.Namespace == "" && f.Pod == "" && len(f.Outcomes) == 0 && f.Endpoint == "" && f.User == ""
}
