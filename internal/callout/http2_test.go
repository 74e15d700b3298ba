package callout_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

// frames is an HTTP/2 server that answers in frames of the test's choice. Each request calls answer with its number on
// the connection, from 1; if that returns false, the connection ends.
func frames(t *testing.T, hello func(*http2.Framer), answer func(to *http2.Framer, stream uint32, number int) bool) (c *callout.Client, url string, requests, connections *atomic.Int32) {
	t.Helper()
	ca := newAuthority(t, "ca")
	cert, err := tls.X509KeyPair(ca.issue(t, "server", "ep.example"))
	if err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int32)
	address, connections := script(t, func(conn net.Conn) {
		secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
		defer secure.Close()
		defer context.AfterFunc(t.Context(), func() { conn.Close() })() // amp keeps its connections
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := secure.Read(preface); err != nil {
			return
		}
		framer := http2.NewFramer(secure, secure)
		framer.WriteSettings()
		if hello != nil {
			hello(framer)
		}
		for number := 1; ; {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			// A Pod this small comes in one frame, which ends the stream.
			if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
				requests.Add(1)
				if !answer(framer, data.StreamID, number) {
					return
				}
				number++
			}
		}
	})
	config := local()
	config.CAFile, config.Resolver = write(t, ca.pem, filepath.Join(t.TempDir(), "ca.pem")), everywhere
	_, port, _ := net.SplitHostPort(address)
	return newClient(t, config), "https://ep.example:" + port, requests, connections
}

// noChange answers a request with 204.
func noChange(to *http2.Framer, stream uint32) {
	var block bytes.Buffer
	hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "204"})
	to.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
}

// An HTTP/2 server may refuse requests in ways after which a client may send them again. amp sends a request at most
// twice, over at most two new connections.
func TestRepeatsOverHTTP2(t *testing.T) {
	goAway := func(last uint32, code http2.ErrCode) func(*http2.Framer, uint32, int) bool {
		return func(to *http2.Framer, stream uint32, _ int) bool {
			to.WriteGoAway(min(last, stream), code, nil)
			return true
		}
	}
	resetStream := func(code http2.ErrCode) func(*http2.Framer, uint32, int) bool {
		return func(to *http2.Framer, stream uint32, _ int) bool {
			to.WriteRSTStream(stream, code)
			return true
		}
	}
	for name, answer := range map[string]func(to *http2.Framer, stream uint32, number int) bool{
		"GOAWAY, nothing was processed":   goAway(0, http2.ErrCodeNo),
		"GOAWAY, with an error":           goAway(0, http2.ErrCodeEnhanceYourCalm),
		"GOAWAY, and the connection ends": func(to *http2.Framer, s uint32, n int) bool { goAway(0, http2.ErrCodeNo)(to, s, n); return false },
		"the stream is refused":           resetStream(http2.ErrCodeRefusedStream),
		"the stream has a protocol error": resetStream(http2.ErrCodeProtocol),
		"the stream is to use HTTP/1.1":   resetStream(http2.ErrCodeHTTP11Required),
		"the connection ends":             func(*http2.Framer, uint32, int) bool { return false },
		"the stream is refused, then GOAWAY": func(to *http2.Framer, s uint32, n int) bool {
			resetStream(http2.ErrCodeRefusedStream)(to, s, n)
			return goAway(0, 0)(to, s, n)
		},
		"a frame that no client can read": func(to *http2.Framer, s uint32, _ int) bool {
			to.WriteRawFrame(http2.FrameHeaders, 0, 0, nil)
			return true
		},
		"a refusal by a limit that falls to 0": func(to *http2.Framer, s uint32, n int) bool {
			to.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0})
			return resetStream(http2.ErrCodeRefusedStream)(to, s, n)
		},
	} {
		for _, kept := range []bool{false, true} {
			what := name + map[bool]string{false: ", on a new connection", true: ", on a kept connection"}[kept]
			t.Run(what, func(t *testing.T) {
				var fine atomic.Bool
				fine.Store(kept)
				c, url, requests, connections := frames(t, nil, func(to *http2.Framer, stream uint32, number int) bool {
					if fine.CompareAndSwap(true, false) {
						noChange(to, stream)
						return true
					}
					return answer(to, stream, number)
				})
				if kept {
					if _, failure := call(t, c, url); failure != nil {
						t.Fatal(failure)
					}
					requests.Store(0)
				}
				if _, failure := call(t, c, url); failure == nil || failure.Result == review.ResultLate {
					t.Errorf("failure %v, want one before the deadline", failure)
				}
				if n := requests.Load(); n < 1 || n > 2 {
					t.Errorf("%d requests for one review", n)
				}
				if n := connections.Load(); n > 2 {
					t.Errorf("%d connections", n)
				}
			})
		}
	}

	t.Run("GOAWAY before any request", func(t *testing.T) {
		c, url, requests, connections := frames(t, func(to *http2.Framer) { to.WriteGoAway(0, http2.ErrCodeNo, nil) },
			func(*http2.Framer, uint32, int) bool { return true })
		if _, failure := call(t, c, url); failure == nil {
			t.Error("no failure")
		}
		if n, m := requests.Load(), connections.Load(); n > 2 || m > 2 {
			t.Errorf("%d requests, %d connections", n, m)
		}
	})
}
