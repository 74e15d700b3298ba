package audit

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// maxWriters bounds the file of write tokens: to about ten thousand of them.
const maxWriters = 1 << 20

// A writer is one who may post events.
type writer struct {
	digest  [sha256.Size]byte // of the token
	sources []string          // whose events it may post; empty: every source's
}

// anyone posts where no token is needed.
var anyone = &writer{}

// readWriters returns who may post, nil if everyone may: the file has one token a line. Behind it, separated by blanks, are
// the sources that it is for. A token alone is for every source. An empty line, and one that begins with #, says nothing.
// No error shows a token.
func readWriters(file string) ([]writer, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(b) > maxWriters {
		return nil, fmt.Errorf("the file is larger than %d KiB, which is too large for tokens", maxWriters>>10)
	}
	var all []writer
	lines := map[[sha256.Size]byte]int{}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		w := writer{sha256.Sum256([]byte(words[0])), words[1:]}
		switch before := lines[w.digest]; {
		case strings.Contains(words[0], "://"):
			return nil, fmt.Errorf("line %d begins with the address %.100q: put a token first, and behind it the sources that it is for", n, words[0])
		case len(words[0]) > maxToken:
			return nil, fmt.Errorf("line %d is longer than 16 KiB, which is too long for a token", n)
		case before > 0:
			return nil, fmt.Errorf("line %d has the token of line %d: put all its sources on one line", n, before)
		}
		lines[w.digest] = n
		all = append(all, w)
	}
	if len(all) == 0 {
		return nil, errors.New("the file is empty: put a token in it, or unset the variable")
	}
	return all, nil
}

// writerOf returns who sent a request to post events.
func (s *Server) writerOf(r *http.Request) (*writer, error) {
	all, err := readWriters(s.config.WriteTokenFile)
	if err != nil {
		return nil, err
	}
	if all == nil {
		return anyone, nil
	}
	sent := sha256.Sum256([]byte(bearer(r)))
	var found *writer
	for i := range all { // all of them, in constant time
		if subtle.ConstantTimeCompare(sent[:], all[i].digest[:]) == 1 {
			found = &all[i]
		}
	}
	if found == nil {
		return nil, &badRequest{http.StatusUnauthorized, "posting events needs a token: send the header Authorization: Bearer <token>"}
	}
	return found, nil
}

// ownOf divides events into those that a writer may post and the others.
func (w *writer) ownOf(events []*store.Event) (own, foreign []*store.Event) {
	for _, e := range events {
		if len(w.sources) == 0 || slices.Contains(w.sources, e.Item.Source) {
			own = append(own, e)
		} else {
			foreign = append(foreign, e)
		}
	}
	return own, foreign
}

// refuse notes events of a source that is not the writer's, and returns what the sender should read; nil if there are none.
func (s *Server) refuse(w *writer, foreign []*store.Event) error {
	if len(foreign) == 0 {
		return nil
	}
	s.refused.Add(int64(len(foreign)))
	source, mine := foreign[0].Item.Source, firstLine(strings.Join(w.sources, " "))
	s.log.Warn("audit refuses events of a source that is not the writer's", "source", firstLine(source), "writer", mine, "events", len(foreign))
	return &badRequest{http.StatusForbidden, fmt.Sprintf("this token is for events of %s, and not of the source %.200q: send that source's own token, "+
		"or add the source behind this one in the file of AMP_AUDIT_WRITE_TOKEN_FILE; if the source is wrong, mend AMP_EVENTS_SOURCE of the amp that sends", mine, source)}
}

// Refused is the metric amp_audit_events_refused_total: how many events came with the token of another source.
func Refused() float64 {
	environment.Lock()
	defer environment.Unlock()
	if environment.server == nil {
		return 0
	}
	return float64(environment.server.refused.Load())
}
