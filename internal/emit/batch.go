package emit

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// A request costs amp and the sink more than the event in it. So amp sends several events in one request to a sink that says
// that it takes them: its answers have the header Accept-Post (W3C Linked Data Platform 1.0, section 7.1) with the media type
// of a batch (CloudEvents' JSON format 1.0.2, section 4).

// The bounds of a batch. An event that is larger goes alone.
const (
	maxBatch      = 100
	maxBatchBytes = 1 << 20
	// linger is how long an event waits for others, when it may go with them.
	linger = 20 * time.Millisecond
)

// takesBatches reports whether an answer of the sink says that it takes batches.
func takesBatches(answer http.Header) bool {
	for _, line := range answer.Values("Accept-Post") {
		for one := range strings.SplitSeq(line, ",") {
			if mediaType, _, err := mime.ParseMediaType(one); err == nil && mediaType == event.ApplicationCloudEventsBatchJSON {
				return true
			}
		}
	}
	return false
}

// attributesOf is the event in structured mode, without its data and the end of the object.
func attributesOf(e *event.Event) ([]byte, error) {
	bare := *e
	bare.DataEncoded = nil
	var b bytes.Buffer
	if err := event.WriteJson(&bare, &b); err != nil {
		return nil, fmt.Errorf("encoding the event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("}")), nil
}

// batchOf is the body of a batch. The data of amp's events is JSON.
func batchOf(messages []*message) []byte {
	const data = `,"data":`
	n := 2
	for _, m := range messages {
		n += len(m.attributes) + len(data) + len(m.body) + 2
	}
	b := append(make([]byte, 0, n), '[')
	for i, m := range messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, m.attributes...)
		b = append(b, data...)
		b = append(b, m.body...)
		b = append(b, '}')
	}
	return append(b, ']')
}

// alone reports whether the message cannot be a part of a batch.
func (m *message) alone() bool { return m.attributes == nil }

// goAlone makes the message go alone from now on.
func (m *message) goAlone() { m.attributes = nil }

// take takes entries out of the line to be sent: up to so many that they may be one batch, at least one. The caller holds q.mu.
func (q *queue) take(most int) []*entry {
	var batch []*entry
	bytes := 0
	for len(batch) < most {
		e := q.peek(toSend)
		if e == nil || len(batch) > 0 && (e.msg.alone() || bytes+len(e.msg.body) > maxBatchBytes) {
			break
		}
		q.pop(toSend)
		q.sending[e] = true
		batch = append(batch, e)
		if e.msg.alone() {
			break
		}
		bytes += len(e.msg.body)
	}
	q.readySince = time.Now()
	if q.waiting[toSend] > 0 {
		q.send.Signal() // the rest must not wait until this batch is delivered
	}
	return batch
}

// count counts a failure of the sink, which accepts other events. After the second one of a batch its events go alone: one of them
// may be what the sink cannot take, or all of them take it too long.
func (e *entry) count(together bool) {
	if !together {
		e.failedAlone++
	} else if e.failedTogether++; e.failedTogether > 1 {
		e.msg.goAlone()
	}
}

// apart puts back entries of nextReady that the sink refused together. Each goes alone, at once, and waits as all others do if
// the sink fails meanwhile.
func (q *queue) apart(batch []*entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range batch {
		if q.sending[e] { // otherwise abandon took it
			delete(q.sending, e)
			e.msg.goAlone()
			q.push(e, toSend)
		}
	}
	q.send.Broadcast()
}
