package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// run serves TLS on the listener until stop is called. If serving fails before, run calls failed.
//
// stop lets no caller connect any more, closes idle connections, and returns when the requests in flight are answered or its
// ctx ends. HTTP/2 callers hear that they must leave (GOAWAY). If their connection just ended, a review that they send in that
// moment would fail. After a GOAWAY they send it again, over another connection. HTTP/1.1 has nothing of the kind: such a
// review fails. So amp stops only when none has come for some time.
func run(server *http.Server, listener net.Listener, failed func(error)) (stop func(context.Context)) {
	go func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			failed(err)
		}
	}()
	return func(ctx context.Context) {
		_ = server.Shutdown(ctx) // the process ends next, whatever it says
	}
}
