package audit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A browser is a page of its own in the Chromium of all tests, with its own cookies and connections.
type browser struct {
	t       testing.TB
	c       *chromium
	session string

	problems []string // what the console and the Content-Security-Policy had to say; c.mu guards it
}

// newBrowser opens an empty page of the size given, or skips the test.
func newBrowser(t testing.TB, width, height int) *browser {
	t.Helper()
	if _, err := findChromium(); err != nil {
		if os.Getenv("AMP_REQUIRE_BROWSER") == "1" {
			t.Fatalf("AMP_REQUIRE_BROWSER=1, but %v", err)
		}
		t.Skip(err)
	}
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, c: c}
	var own struct{ BrowserContextID string }
	b.must("Target.createBrowserContext", nil, &own)
	t.Cleanup(func() {
		// Otherwise its page would look for its server again and again, until another test's has the same port.
		if _, err := c.send("", "Target.disposeBrowserContext", map[string]any{"browserContextId": own.BrowserContextID}); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		delete(c.browsers, b.session)
		c.mu.Unlock()
	})
	var target struct{ TargetID string }
	b.must("Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": own.BrowserContextID, "newWindow": true}, &target)
	var attached struct{ SessionID string }
	b.must("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.mu.Lock()
	b.session = attached.SessionID
	c.browsers[b.session] = b
	c.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		b.must(domain+".enable", nil, nil)
	}
	// Each page behaves as if it were the only one.
	b.must("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	b.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.scheme("light")
	return b
}

// scheme makes the page light or dark. Nothing moves: an animation would be drawn sixty times a second.
func (b *browser) scheme(name string) {
	b.t.Helper()
	b.must("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
}

// zone puts the pages that are opened from now on into a time zone.
func (b *browser) zone(name string) {
	b.t.Helper()
	b.must("Emulation.setTimezoneOverride", map[string]any{"timezoneId": name}, nil)
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

func (b *browser) must(method string, params, result any) {
	b.t.Helper()
	r, err := b.c.send(b.session, method, params)
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
	script := fmt.Sprintf(`new Promise((done) => { const end = Date.now() + %d; const look = () => { let ok = false; try { ok = (%s); } catch {} if (ok || Date.now() > end) done(!!ok); else setTimeout(look, 30); }; look(); })`,
		(browserPatience - 5*time.Second).Milliseconds(), expression)
	ctx, cancel := context.WithTimeout(b.t.Context(), browserPatience)
	defer cancel()
	for ctx.Err() == nil {
		r, err := b.c.send(b.session, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true})
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
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	return append([]string(nil), b.problems...)
}

// clean fails the test if the page caused anything that it should not have.
func (b *browser) clean() {
	b.t.Helper()
	for _, p := range b.seen() {
		b.t.Errorf("the browser reports %s", p)
	}
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
