package proxy

import (
	"container/list"
	"net/http"
	"sync"
	"time"
)

// maxArriving is how many bodies may be without their first bytes, which nothing bounds otherwise: HTTP/2 sends many
// over one connection. They take 16 MiB.
const maxArriving = 1024

// arriving is the bodies that wait for their first bytes, the longest first. An API server sends a body at once. So if there
// are too many, the one that waits longest makes room: callers that send nothing more cannot keep out those that do.
type arriving struct {
	mu  sync.Mutex
	all list.List // of *arrival
}

// arrival is one body that waits.
type arrival struct {
	control *http.ResponseController
	cut     bool // it had to make room; read it only after leave
}

// enter adds a body, whose reading ends at once if it has to make room. The caller calls leave when the first bytes are
// there, or never come.
func (a *arriving) enter(control *http.ResponseController) (body *arrival, leave func()) {
	body = &arrival{control: control}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all.Len() >= maxArriving {
		longest := a.all.Remove(a.all.Front()).(*arrival)
		longest.cut = true
		// A server that knows no deadlines has its own ways: see open.
		_ = longest.control.SetReadDeadline(time.Unix(1, 0))
	}
	element := a.all.PushBack(body)
	return body, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all.Remove(element) // nothing, if it has made room
	}
}
