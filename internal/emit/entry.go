package emit

import "github.com/txn2/amp/internal/review"

// entry is one event in the queue. It is a record until it is encoded, and then a message.
type entry struct {
	rec            *review.Record // nil when msg is set
	msg            *message
	size           int64
	tenant         *tenant
	accepted       int64 // queue.accepted when the sink last failed this event
	failedAlone    int   // how often the sink failed this event although it had accepted another one since the last try
	failedTogether int   // the same of batches with it
}

func (e *entry) id() string {
	if e.msg != nil {
		return e.msg.id
	}
	return e.rec.Plan.Event
}

// recordSize is roughly the memory that a record keeps. The Pod, and the strings that were read of it, are slices of the
// request's body: it counts with the envelope around it. Patches are slices of the endpoints' answers.
func recordSize(rec *review.Record) int64 {
	n := int64(len(rec.Review.Pod)) + 4096
	for i := range rec.Run.Steps {
		n += 512
		for j := range rec.Run.Steps[i].Ops {
			op := &rec.Run.Steps[i].Ops[j]
			n += 3*int64(len(op.Path)+len(op.From)+len(op.Value)) + 256
		}
	}
	return n
}
