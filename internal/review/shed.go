package review

import "fmt"

// ShedReason says for what amp had no memory.
type ShedReason string

// The reasons, spelled as in the metrics.
const (
	ShedBody   ShedReason = "body"   // of the review: amp decided from its first bytes
	ShedUnread ShedReason = "unread" // of a review whose first bytes do not hold its uid: amp could not answer it
	ShedAnswer ShedReason = "answer" // of an endpoint, or the Pod that it makes: the step failed
)

// ShedReasons lists every reason.
var ShedReasons = []ShedReason{ShedBody, ShedUnread, ShedAnswer}

// NoMemory is the cause of a failure, in words for the user, if r may not keep what in memory.
func (r *Review) NoMemory(what string) string {
	return fmt.Sprintf("shed: no memory for %s, reviews hold %d of %d MiB (AMP_IN_FLIGHT_BYTES), and one namespace at most half; try again, or give amp more memory or replicas",
		what, r.Memory.Pool().Used()>>20, r.Memory.Pool().Total()>>20)
}
