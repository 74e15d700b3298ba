package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// With AMP_TEST_MAIN set, the test binary runs the command itself.
func TestMain(m *testing.M) {
	if os.Getenv("AMP_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const pod = `{"kind":"Pod","metadata":{"annotations":{"amp.txn2.com/example":"mutate","hub.jupyter.org/username":"alice"}},"spec":{"containers":[{"name":"notebook","image":"evil.example/x"}]}}`

func TestHost(t *testing.T) {
	for name, tc := range map[string]struct {
		target, method, path string
		status               int
		body                 string
	}{
		"all: the example at its path":    {"", "POST", "/example", 200, `"value":"mutated"`},
		"all: jupyterhub at its path":     {"", "POST", "/jupyterhub", 200, `"value":"home/alice"`},
		"all: require at its path":        {"", "POST", "/require", 200, `"allowed":false`},
		"all: another path names them":    {"", "POST", "/", 404, "/audit, /example, /jupyterhub, /require"},
		"all: audit's page":               {"", "GET", "/audit/", 200, "<title>amp audit</title>"},
		"all: audit's API":                {"", "GET", "/audit/api/events", 200, `"items":[]`},
		"one: at the root":                {"require", "POST", "/", 200, `"allowed":false`},
		"one: at every path":              {"require", "POST", "/mutate", 200, `"allowed":false`},
		"one: not the others":             {"require", "POST", "/example", 200, `"allowed":false`},
		"one: by the wrong method":        {"require", "GET", "/", 405, "want a POST"},
		"the probe, whichever are served": {"", "GET", "/healthz", 200, "ok"},
		"the probe, whichever one is it":  {"example", "GET", "/healthz", 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := host(tc.target)
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, strings.NewReader(pod)))
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	want := `reading FUNCTION_TARGET: there is no function "exmaple": want audit, example, jupyterhub, require; or unset it to serve all`
	if _, err := host("exmaple"); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"an argument":         {[]string{"example"}, nil, `reading arguments: unexpected "example": want jupyterhub check FILE, audit export, audit import, or none, see --help`},
		"an unknown function": {nil, map[string]string{"FUNCTION_TARGET": "x"}, `reading FUNCTION_TARGET: there is no function "x"`},
		"a bad port":          {nil, map[string]string{"PORT": "http!"}, `listening on PORT "http!"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(tc.args, func(k string) string { return tc.env[k] }, io.Discard)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestTheSampleProfilesAreGoodAndTheirMetricSaysSo(t *testing.T) {
	var out bytes.Buffer
	if code := check([]string{"check", "../../endpoints/jupyterhub/profiles.yaml"}, nil, &out, &out); code != 0 {
		t.Errorf("%d %s", code, &out)
	}
	if code := check([]string{"chekc"}, nil, io.Discard, io.Discard); code != 2 {
		t.Errorf("a wrong argument: %d", code)
	}
	for target, want := range map[string][2]bool{"": {true, true}, "jupyterhub": {true, false}, "audit": {false, true}} {
		w := httptest.NewRecorder()
		metrics(target).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		got := [2]bool{strings.Contains(w.Body.String(), "amp_jupyterhub_profiles_valid 1"), strings.Contains(w.Body.String(), "amp_audit_events_refused_total 0")}
		if got != want {
			t.Errorf("of %q: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestHelpNamesEveryFunction(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"--help"}, os.Getenv, &out); err != nil {
		t.Fatal(err)
	}
	for name := range samples {
		if !strings.Contains(out.String(), name) {
			t.Errorf("--help does not name %s:\n%s", name, &out)
		}
	}
}

// In the synctest bubble the lull takes no real time.
func TestServeFinishesWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		entered, release := make(chan struct{}), make(chan struct{})
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				close(entered)
				<-release
			}
			io.WriteString(w, "done")
		})
		terminated, terminate := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- serve(terminated, t.Context(), listener, handler) }()
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		defer client.CloseIdleConnections()
		get := func(path string) (string, bool, error) {
			resp, err := client.Get("http://pod" + path)
			if err != nil {
				return "", false, err
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			return string(b), resp.Close, err
		}

		slow := make(chan string, 1)
		go func() { body, _, err := get("/slow"); slow <- body + errText(err) }()
		<-entered
		terminate()
		synctest.Wait()
		if body, closing, err := get("/"); body != "done" || !closing || err != nil {
			t.Errorf("during the lull: %q, closing %v, %v", body, closing, err)
		}
		time.Sleep(lull + time.Second)
		if _, _, err := get("/"); err == nil {
			t.Error("after the lull a new connection was taken")
		}
		close(release)
		if body := <-slow; body != "done" {
			t.Errorf("the request in flight got %q", body)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func TestServeGivesUpOnARequestWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		entered := make(chan struct{})
		terminated, terminate := context.WithCancel(t.Context())
		served := make(chan error, 1)
		release := make(chan struct{})
		defer close(release)
		go func() {
			served <- serve(terminated, terminated, listener, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release }))
		}()
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://pod/", nil)
		go client.Do(req)
		<-entered
		terminate()
		if err := <-served; err == nil || !strings.Contains(err.Error(), "still in flight after 10s") {
			t.Errorf("serve: %v", err)
		}
	})
}

func errText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// pipes is a listener in memory, because synctest does not control the network.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// TestTheProgramServesUntilItIsTold checks the contract of a container under Knative: plain HTTP on PORT,
// only JSON lines in the log, and on SIGTERM the request in flight is answered before the program ends.
func TestTheProgramServesUntilItIsTold(t *testing.T) {
	for _, target := range []string{"example", "audit"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel() // each waits for a real lull
			patience, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(patience, os.Args[0])
			cmd.Env = append(os.Environ(), "AMP_TEST_MAIN=1", "PORT=0", "FUNCTION_TARGET="+target, "K_SERVICE="+target, "K_REVISION="+target+"-00001")
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stderr)
			type line struct{ Msg, Address string }
			next := func() (l line, more bool) {
				if !lines.Scan() {
					return l, false
				}
				if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
					t.Fatalf("a log line is not JSON: %q", lines.Bytes())
				}
				return l, true
			}
			until := func(msg string) line {
				for {
					l, more := next()
					if !more {
						t.Fatalf("the program ended before it logged %q", msg)
					}
					if l.Msg == msg {
						return l
					}
				}
			}
			_, port, err := net.SplitHostPort(until("serving").Address)
			if err != nil {
				t.Fatal(err)
			}
			url := "http://127.0.0.1:" + port
			if resp, err := http.Get(url + "/healthz"); err != nil || resp.Body.Close() != nil || resp.StatusCode != 200 {
				t.Fatalf("the probe: %v, %v", resp, err)
			}

			// The server answers 100 when the function reads the body. From then on the request is in flight.
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			request := requests[target]
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n%s\r\n", target, len(request.body), request.header)
			answers := bufio.NewReader(conn)
			if resp, err := http.ReadResponse(answers, nil); err != nil || resp.StatusCode != http.StatusContinue {
				t.Fatalf("the request is not read: %v, %v", resp, err)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			until("draining")
			io.WriteString(conn, request.body)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("the request in flight: %v", err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != request.status || !strings.HasPrefix(string(body), request.answer) {
				t.Errorf("the request in flight got %d %s, %v", resp.StatusCode, body, err)
			}
			for _, more := next(); more; _, more = next() {
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("after SIGTERM: %v", err)
			}
			if stdout.Len() > 0 {
				t.Errorf("it printed %q", &stdout)
			}
		})
	}
}

// requests holds a request for each function and the answer that is expected.
var requests = map[string]struct {
	header, body string
	status       int
	answer       string
}{
	"example": {"Content-Type: application/json\r\n", pod, 200, `[{"op":`},
	"audit": {"Content-Type: application/json\r\nCe-Specversion: 1.0\r\nCe-Id: 1\r\nCe-Source: https://amp.example/proxy\r\n" +
		"Ce-Type: com.txn2.amp.pod.mutated.v1\r\nCe-Subject: jhub/jupyter-alice\r\nCe-Time: 2026-11-23T06:36:58Z\r\n",
		`{"namespace": "jhub", "pod": {"name": "jupyter-alice"}, "operation": "mutate", "outcome": "mutated"}`, 204, ""},
}
