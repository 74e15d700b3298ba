package connlimit

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
)

// told is a connection that tells when it is closed.
type told struct {
	net.Conn
	name   string
	closed chan<- string
}

func (n *told) Close() error { n.closed <- n.name; return nil }

func TestTheLongestIdleConnectionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan string, 100)
		conns := map[string]*told{}
		l := New(3)
		for _, step := range []struct {
			name  string
			state http.ConnState
			want  string // what is closed
		}{
			{"a", http.StateNew, ""}, {"b", http.StateNew, ""}, {"c", http.StateNew, ""},
			{"a", http.StateActive, ""}, {"a", http.StateIdle, ""}, // now b is the longest idle
			{"d", http.StateNew, "b"},
			{"b", http.StateClosed, ""},
			{"c", http.StateActive, ""}, {"a", http.StateActive, ""}, {"d", http.StateActive, ""},
			{"e", http.StateNew, "e"}, // all others work
			{"f", http.StateActive, "f"},
			{"a", http.StateClosed, ""},
			{"g", http.StateNew, ""},
		} {
			if conns[step.name] == nil {
				conns[step.name] = &told{name: step.name, closed: closed}
			}
			l.ConnState(conns[step.name], step.state)
			synctest.Wait()
			got := ""
			if len(closed) > 0 {
				got = <-closed
			}
			if got != step.want {
				t.Fatalf("%s is %v: %q is closed, want %q", step.name, step.state, got, step.want)
			}
		}
		if len(l.open) != 3 || l.idle.Len() != 1 {
			t.Errorf("%d are open, %d of them idle", len(l.open), l.idle.Len())
		}
	})
}

func TestABusyConnectionMakesRoomToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan string, 100)
		l := New(2)
		a, b, c := &told{name: "a", closed: closed}, &told{name: "b", closed: closed}, &told{name: "c", closed: closed}
		l.BusyToo(a, http.StateNew)
		l.BusyToo(a, http.StateActive)
		l.BusyToo(b, http.StateNew)
		l.BusyToo(b, http.StateActive)
		l.BusyToo(a, http.StateIdle) // it was served: now b is the oldest
		l.BusyToo(a, http.StateActive)
		l.BusyToo(c, http.StateNew)
		synctest.Wait()
		if got := <-closed; got != "b" {
			t.Errorf("%s is closed", got)
		}
		l.BusyToo(b, http.StateClosed)
		if len(l.open) != 2 || l.idle.Len() != 2 {
			t.Errorf("%d are open, of which %d can make room", len(l.open), l.idle.Len())
		}
	})
}
