// Package move takes events from one audit function to another, whatever each stores them in, while both are in use. It
// knows the functions' API, and nothing of storage.
//
// An export has one event a line, in the order in which the function stored them, each with its position in that order. So
// it can go on where it ended, and a second one from there brings what has arrived since. What is imported twice is stored
// once.
package move

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	// maxLine bounds a line of an export: the largest event that the function takes, and what it adds.
	maxLine = 16<<20 + 1<<10
	// batchBytes and batchLines bound what is posted at once. The function stores it in one transaction.
	batchBytes, batchLines = 1 << 20, 500
	// attempt is how long one batch may take, or the beginning of an export.
	attempt = time.Minute
)

// A Function is an audit function.
type Function struct {
	// URL is where it is, as the page's address.
	URL string
	// Token is the bearer token for reading from it, or for posting to it. Empty: none is needed.
	Token string
	// Client makes the requests, without following redirects. nil: one as http.DefaultClient.
	Client *http.Client
	// Patience is how long a function that does not answer is asked again. 0: not at all.
	Patience time.Duration
	// Trouble gets the reason why a request is made again. It may be nil.
	Trouble func(error)
}

// Progress says how far a move has come.
type Progress struct {
	Events int64
	// Position is the one of the last event. Empty: there was none, or it had none.
	Position string
}

// errRefused is an answer that another attempt does not change.
type errRefused struct{ message string }

func (e *errRefused) Error() string { return e.message }

// Export writes what the function stored after a position, all if it is empty, until the present. The error does not
// take back what was written: whole lines, up to the position in Progress.
func (f *Function) Export(ctx context.Context, after string, w io.Writer) (Progress, error) {
	p := Progress{Position: after}
	out := bufio.NewWriterSize(w, 64<<10)
	err := f.again(ctx, func(ctx context.Context) (moved bool, err error) {
		before := p
		err = f.export(ctx, &p, out)
		return p != before, err
	})
	return p, errors.Join(err, out.Flush())
}

func (f *Function) export(ctx context.Context, p *Progress, w *bufio.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := ""
	if p.Position != "" {
		query = "?" + url.Values{"after": {p.Position}}.Encode()
	}
	silence := time.AfterFunc(attempt, cancel)
	defer silence.Stop()
	resp, err := f.do(ctx, http.MethodGet, "api/export"+query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := newLines(resp.Body)
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the export: %w", err)
		}
		silence.Reset(attempt)
		position, err := positionOf(line)
		if err != nil || position == "" {
			return &errRefused{fmt.Sprintf("%s did not answer with an export: is it an audit function?", f.URL)}
		}
		_, err = w.Write(line)
		if err == nil {
			err = w.WriteByte('\n')
		}
		if err != nil {
			return &errRefused{fmt.Sprintf("writing the export: %v", err)}
		}
		p.Events, p.Position = p.Events+1, position
	}
}

// Import posts to the function what an export wrote, or CloudEvents in JSON, one a line. progress is told after each batch
// that was stored. The function keeps what it has already, so an import that ended may begin anew.
func (f *Function) Import(ctx context.Context, r io.Reader, progress func(Progress)) (Progress, error) {
	var p Progress
	lines := newLines(r)
	for {
		var ended error
		var batch bytes.Buffer
		next, n := p, 0
		for n < batchLines && batch.Len() < batchBytes {
			line, err := lines.next()
			if errors.Is(err, io.EOF) {
				ended = err
				break
			} else if err != nil {
				ended = fmt.Errorf("reading line %d: %w", lines.n+1, err)
				break
			}
			position, err := positionOf(line)
			if err != nil {
				ended = fmt.Errorf("reading line %d: it is not whole JSON: the export was cut off there, so take the line away and export the rest with --after", lines.n)
				break
			}
			if batch.Len() > 0 && batch.Len()+len(line) >= maxLine {
				lines.back = line
				break
			}
			batch.Write(line)
			batch.WriteByte('\n')
			n++
			next.Events++
			if position != "" {
				next.Position = position
			}
		}
		if n == 0 {
			return p, unlessEOF(ended)
		}
		err := f.again(ctx, func(ctx context.Context) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, attempt)
			defer cancel()
			resp, err := f.do(ctx, http.MethodPost, "", batch.Bytes())
			if err == nil {
				resp.Body.Close()
			}
			return false, err
		})
		if err != nil {
			return p, fmt.Errorf("storing the events %d to %d: %w", p.Events+1, next.Events, err)
		}
		p = next
		if progress != nil {
			progress(p)
		}
		if ended != nil {
			return p, unlessEOF(ended)
		}
	}
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// again does something until it succeeds, is refused, or the function's patience has ended since the last time that
// something moved.
func (f *Function) again(ctx context.Context, do func(ctx context.Context) (moved bool, err error)) error {
	const first, most = 250 * time.Millisecond, 10 * time.Second
	pause := first
	for began := time.Now(); ; {
		moved, err := do(ctx)
		var refused *errRefused
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		if moved {
			began, pause = time.Now(), first
		}
		if time.Since(began)+pause > f.Patience {
			return err
		}
		if f.Trouble != nil {
			f.Trouble(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		pause = min(2*pause, most)
	}
}

// do makes one request. The error is the function's own words; it is an *errRefused if another attempt does not help.
func (f *Function) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(f.URL, "/")+"/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, &errRefused{err.Error()}
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	if f.Token != "" {
		r.Header.Set("Authorization", "Bearer "+f.Token)
	}
	client := http.Client{}
	if f.Client != nil {
		client = *f.Client
	}
	// A redirect can make a GET of a POST, which any page answers with 200. It can also lead the token and the events away.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(r)
	if err != nil {
		return nil, err // it names the method and the address
	}
	want := http.StatusOK
	if method == http.MethodPost {
		want = http.StatusNoContent // other servers answer everything with 200
	}
	if resp.StatusCode == want {
		return resp, nil
	}
	defer resp.Body.Close()
	switch resp.StatusCode / 100 {
	case 2:
		return nil, &errRefused{fmt.Sprintf("%s answers %d, and not as an audit function does: is that its address?", f.URL, resp.StatusCode)}
	case 3:
		return nil, &errRefused{fmt.Sprintf("%s answers %d: it redirects to %.200q: name the address of the function itself", f.URL, resp.StatusCode, resp.Header.Get("Location"))}
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what there is of it is better than nothing
	var problem struct{ Error string }
	if json.Unmarshal(text, &problem) == nil && problem.Error != "" {
		text = []byte(problem.Error)
	}
	message := fmt.Sprintf("%s answers %d: %s", f.URL, resp.StatusCode, strings.TrimSpace(string(text)))
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil, errors.New(message)
	}
	return nil, &errRefused{message}
}

// lines reads lines of bounded length, and leaves out the empty ones.
type lines struct {
	r    *bufio.Reader
	line []byte
	back []byte // a line that next returns again
	n    int    // how many lines were read
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 64<<10)} }

// next returns a line, which is valid until the next call. The last one needs no end.
func (l *lines) next() ([]byte, error) {
	if line := l.back; line != nil {
		l.back = nil
		return line, nil
	}
	for l.line = l.line[:0]; ; {
		part, err := l.r.ReadSlice('\n')
		if len(l.line)+len(part) > maxLine {
			return nil, fmt.Errorf("it is longer than %d MiB, which no event of an export is", maxLine>>20)
		}
		l.line = append(l.line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		line := bytes.TrimSpace(l.line)
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return nil, err
		}
		l.n++
		if len(line) > 0 {
			return line, nil
		}
		l.line = l.line[:0]
	}
}

// plain is what a position looks like. It is printed, for people to copy it into a shell.
var plain = regexp.MustCompile(`^[0-9A-Za-z._-]{1,100}$`)

// positionOf returns the position in a line of an export, "" for an event that has none.
func positionOf(line []byte) (string, error) {
	var record struct {
		Position json.RawMessage `json:"position"` // an event may have an attribute of that name
		Event    json.RawMessage `json:"event"`
	}
	if err := json.Unmarshal(line, &record); err != nil {
		return "", err
	}
	var position string
	if len(record.Event) > 0 && record.Event[0] == '{' {
		_ = json.Unmarshal(record.Position, &position) // another kind of value is none
	}
	if !plain.MatchString(position) {
		return "", nil
	}
	return position, nil
}
