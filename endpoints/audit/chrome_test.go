package audit

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A browser is Chromium with one page, driven over the DevTools protocol through a pair of pipes
// (--remote-debugging-pipe). That takes no port, no WebSocket and no library: chromedp's generated protocol
// alone is larger than the rest of this repository.
type browser struct {
	t       testing.TB
	in      *os.File
	session string

	mu       sync.Mutex
	next     int
	pending  map[int]chan reply
	problems []string // what the console and the Content-Security-Policy had to say
	failed   error
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// patience for everything that a test waits for. Nothing waits for it to pass.
const browserPatience = 30 * time.Second

// newBrowser starts Chromium with an empty page of the size given, or skips the test.
func newBrowser(t testing.TB, width, height int, media map[string]string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	for _, name := range []string{"chromium-browser", "google-chrome"} {
		if err != nil {
			path, err = exec.LookPath(name)
		}
	}
	if err != nil {
		why := "there is no Chromium here (Debian: apt-get install chromium), so nobody looked at the page"
		if os.Getenv("AMP_REQUIRE_BROWSER") == "1" {
			t.Fatal("AMP_REQUIRE_BROWSER=1, but " + why)
		}
		t.Skip(why)
	}
	profile, err := os.MkdirTemp("", "amp-audit-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	fromUs, in, err1 := os.Pipe()
	out, fromIt, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{fromUs, fromIt} // descriptors 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+profile, "TZ=UTC", "LANGUAGE=en")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	fromIt.Close()
	b := &browser{t: t, in: in, pending: map[int]chan reply{}}
	read := make(chan struct{})
	go func() { b.read(out); close(read) }()
	t.Cleanup(func() {
		_, _ = b.send("", "Browser.close", nil) // its children end with it, which killing it would not do
		stop := time.AfterFunc(browserPatience, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		stop.Stop()
		in.Close()
		out.Close()
		<-read
		if t.Failed() && err != nil {
			t.Logf("Chromium: %v\n%s", err, stderr.String())
		}
		_ = os.RemoveAll(profile)
	})

	var target struct{ TargetID string }
	b.must("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.must("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		b.must(domain+".enable", nil, nil)
	}
	b.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	features := []map[string]string{}
	for k, v := range media {
		features = append(features, map[string]string{"name": k, "value": v})
	}
	b.must("Emulation.setEmulatedMedia", map[string]any{"features": features}, nil)
	return b
}

// read takes what Chromium says until it ends.
func (b *browser) read(out *os.File) {
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.failed = fmt.Errorf("Chromium hung up: %w", err)
			for id, c := range b.pending {
				close(c)
				delete(b.pending, id)
			}
			b.mu.Unlock()
			return
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			reply
		}
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.pending[m.ID]; m.ID != 0 && c != nil {
			c <- m.reply
			delete(b.pending, m.ID)
		}
		b.note(m.Method, m.Params)
		b.mu.Unlock()
	}
}

// note keeps what no page should cause.
func (b *browser) note(method string, params json.RawMessage) {
	var p struct {
		Type             string
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry *struct{ Level, Text, URL string }
		Issue *struct{ Code string }
		Args  []struct{ Value any }
	}
	_ = json.Unmarshal(params, &p)
	switch {
	case method == "Runtime.exceptionThrown":
		b.problems = append(b.problems, "exception: "+p.ExceptionDetails.Text+" "+p.ExceptionDetails.Exception.Description)
	case method == "Runtime.consoleAPICalled" && (p.Type == "error" || p.Type == "warning"):
		b.problems = append(b.problems, fmt.Sprintf("console: %v", p.Args))
	case method == "Log.entryAdded" && p.Entry.Level == "error":
		b.problems = append(b.problems, "log: "+p.Entry.Text+" "+p.Entry.URL)
	case method == "Audits.issueAdded" && p.Issue.Code == "ContentSecurityPolicyIssue":
		b.problems = append(b.problems, "policy: "+string(params))
	case method == "Page.javascriptDialogOpening":
		b.problems = append(b.problems, "a dialog opened: "+string(params))
	}
}

func (b *browser) send(session, method string, params any) (json.RawMessage, error) {
	b.mu.Lock()
	if b.failed != nil {
		defer b.mu.Unlock()
		return nil, b.failed
	}
	b.next++
	id, c := b.next, make(chan reply, 1)
	b.pending[id] = c
	b.mu.Unlock()
	m := map[string]any{"id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		return nil, err
	}
	select {
	case r, ok := <-c:
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

func (b *browser) must(method string, params, result any) {
	b.t.Helper()
	r, err := b.send(b.session, method, params)
	if err == nil && result != nil {
		err = json.Unmarshal(r, result)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(address string) {
	b.t.Helper()
	b.must("Page.navigate", map[string]any{"url": address}, nil)
	b.wait(`location.href !== "about:blank" && document.readyState === "complete"`)
}

// eval returns what an expression is, awaited.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.must("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails.Exception.Description)
	}
	return r.Result.Value
}

// wait returns when an expression has become true: the page asks itself with each of its frames.
func (b *browser) wait(expression string) {
	b.t.Helper()
	script := fmt.Sprintf(`new Promise((done) => { const end = Date.now() + %d; const look = () => { let ok = false; try { ok = (%s); } catch {} if (ok || Date.now() > end) done(!!ok); else setTimeout(look, 10); }; look(); })`,
		(browserPatience - 5*time.Second).Milliseconds(), expression)
	ctx, cancel := context.WithTimeout(b.t.Context(), browserPatience)
	defer cancel()
	for ctx.Err() == nil {
		r, err := b.send(b.session, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true})
		if err != nil && (strings.Contains(err.Error(), "context") || strings.Contains(err.Error(), "navigated")) {
			continue // it was on its way to another page
		} else if err != nil {
			b.t.Fatal(err)
		}
		var v struct{ Result struct{ Value bool } }
		if json.Unmarshal(r, &v) == nil && v.Result.Value {
			return
		}
		break
	}
	b.t.Fatalf("waited in vain for %s\nthe page says:\n%v\nproblems: %q", expression, b.eval("document.body.innerText"), b.seen())
}

func (b *browser) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.problems...)
}

// key presses a key, by its DOM name.
func (b *browser) key(name string) {
	b.t.Helper()
	p := map[string]any{"key": name, "code": name}
	codes := map[string]int{"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9, "Home": 36, "End": 35}
	p["windowsVirtualKeyCode"] = codes[name]
	if name == "Enter" {
		p["text"] = "\r"
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		p["type"] = kind
		b.must("Input.dispatchKeyEvent", p, nil)
	}
}

func (b *browser) typeText(text string) {
	b.t.Helper()
	b.must("Input.insertText", map[string]any{"text": text}, nil)
}

// shot writes a picture where AMP_AUDIT_SHOTS says, for a person to look at.
func (b *browser) shot(name string, whole bool) {
	b.t.Helper()
	dir := os.Getenv("AMP_AUDIT_SHOTS")
	if dir == "" {
		return
	}
	var r struct{ Data string }
	b.must("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &r)
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// address of the page with a query, from pairs.
func address(base string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return base + "/?" + q.Encode()
}
