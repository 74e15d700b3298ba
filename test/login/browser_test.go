package login

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// page goes to the audit page in Chromium, logs in, sees events come, and loses its session.
func (w *world) page(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("chromium"); err != nil && os.Getenv("AMP_REQUIRE_BROWSER") == "" {
		t.Skip("there is no Chromium here (Debian: apt-get install chromium), so the page was not tested")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.IgnoreCertErrors,
		chromedp.WSURLReadTimeout(patience), chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-quic", true))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	ctx, done := chromedp.NewContext(ctx)
	defer done()
	step := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	// wait survives that another page comes, which chromedp.Poll does not.
	wait := func(what, js string) {
		t.Helper()
		var err error
		var is bool
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if is, err = chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+js+")")); err == nil && is {
				return
			}
		}
		at, _ := chromedp.Run(ctx, chromedp.Location())
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("not seen: %s (%v)\nat %s:\n%s", what, err, at, text)
	}
	logIn := func(what string) {
		t.Helper()
		wait(what+": the form", `document.querySelector("#password")`)
		name, secret := chromedp.CSS("#username"), chromedp.CSS("#password")
		step(chromedp.SendKeys(name, "alice@example.com"), chromedp.SendKeys(secret, password), chromedp.Click(chromedp.CSS("button[type=submit]")))
		wait(what+": the page", `document.querySelector("#state")?.textContent === "Live" && !document.querySelector("#login").open`)
		at, err := chromedp.Run(ctx, chromedp.Location())
		if err != nil || !strings.HasPrefix(at, w.audit+"/?namespace=team-data") {
			t.Errorf("%s led to %s (%v)", what, at, err)
		}
	}

	step(chromedp.Navigate(w.audit + "/?namespace=team-data"))
	logIn("the first login")
	wait("what was there", `document.querySelector("#rows").innerText.includes("first")`)
	w.post(t, "seen")
	wait("a new event on the open page", `document.querySelector("#rows").innerText.includes("seen")`)

	// The session ends while the page is open. The next click leads to the login, and back.
	step(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.ClearBrowserCookies, cdp.Empty{})
		return err
	}))
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector("#rows a").click(), true`)); err != nil {
		t.Fatal(err)
	}
	logIn("the second login")
}
