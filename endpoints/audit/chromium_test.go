package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// chromium is one Chromium for all tests, driven over the DevTools protocol through a pair of pipes
// (--remote-debugging-pipe). That needs no port, no WebSocket and no library: chromedp's generated protocol alone
// is larger than the rest of this repository. Each test has a browser in it, which shares nothing with others.
type chromium struct {
	cmd     *exec.Cmd
	in      *os.File
	profile string
	stderr  strings.Builder
	read    chan struct{} // closed when nothing more comes from it

	mu       sync.Mutex
	next     int
	pending  map[int]chan reply
	browsers map[string]*browser // by session
	failed   error
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// browserPatience is how long a test waits for anything. No test waits for it to pass.
const browserPatience = 5 * time.Minute

// shared starts Chromium when the first test asks for it. TestMain ends it.
var shared = sync.OnceValues(startChromium)

// started is the Chromium to end, if there is one.
var started *chromium

func TestMain(m *testing.M) {
	if url := os.Getenv(replicaVariable); url != "" {
		runReplica(url)
	}
	code := m.Run()
	if started != nil {
		started.stop(code != 0)
	}
	os.Exit(code)
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium here (Debian: apt-get install chromium), so the page was not tested")
}

func startChromium() (*chromium, error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "amp-audit-chromium-")
	if err != nil {
		return nil, err
	}
	fromUs, in, err1 := os.Pipe()
	out, fromIt, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	c := &chromium{in: in, profile: profile, read: make(chan struct{}), pending: map[int]chan reply{}, browsers: map[string]*browser{}}
	c.cmd = exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--disable-background-timer-throttling", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	c.cmd.ExtraFiles = []*os.File{fromUs, fromIt} // descriptors 3 and 4
	c.cmd.Env = append(os.Environ(), "HOME="+profile, "TZ=UTC", "LANGUAGE=en")
	c.cmd.Stderr = &c.stderr
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	fromUs.Close()
	fromIt.Close()
	started = c
	go func() {
		defer close(c.read)
		defer out.Close()
		c.readFrom(bufio.NewReaderSize(out, 1<<20))
	}()
	return c, nil
}

func (c *chromium) stop(explain bool) {
	_, _ = c.send("", "Browser.close", nil) // its children end with it, which killing it would not do
	kill := time.AfterFunc(browserPatience, func() { _ = c.cmd.Process.Kill() })
	err := c.cmd.Wait()
	kill.Stop()
	c.in.Close()
	<-c.read
	if explain && err != nil {
		fmt.Fprintf(os.Stderr, "Chromium: %v\n%s", err, c.stderr.String())
	}
	_ = os.RemoveAll(c.profile)
}

// readFrom takes what Chromium says until it ends.
func (c *chromium) readFrom(r *bufio.Reader) {
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			c.mu.Lock()
			c.failed = fmt.Errorf("Chromium hung up: %w", err)
			for id, waiting := range c.pending {
				close(waiting)
				delete(c.pending, id)
			}
			c.mu.Unlock()
			return
		}
		var m struct {
			ID        int
			Method    string
			SessionID string
			Params    json.RawMessage
			reply
		}
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		c.mu.Lock()
		if waiting := c.pending[m.ID]; m.ID != 0 && waiting != nil {
			waiting <- m.reply
			delete(c.pending, m.ID)
		}
		if b := c.browsers[m.SessionID]; b != nil {
			b.note(m.Method, m.Params)
		}
		c.mu.Unlock()
	}
}

func (c *chromium) send(session, method string, params any) (json.RawMessage, error) {
	c.mu.Lock()
	if c.failed != nil {
		defer c.mu.Unlock()
		return nil, c.failed
	}
	c.next++
	id, waiting := c.next, make(chan reply, 1)
	c.pending[id] = waiting
	m := map[string]any{"id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	text, err := json.Marshal(m)
	if err == nil {
		_, err = c.in.Write(append(text, 0))
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r, ok := <-waiting:
		if !ok {
			return nil, errors.New("Chromium hung up")
		}
		if r.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-time.After(browserPatience):
		return nil, fmt.Errorf("%s: no answer from Chromium in %s", method, browserPatience)
	}
}
