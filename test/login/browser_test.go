package login

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// page goes to the audit page in Chromium, which logs in, sees events come, and loses its session.
func (w *world) page(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("chromium"); err != nil && os.Getenv("AMP_REQUIRE_BROWSER") == "" {
		t.Skip("there is no Chromium here (Debian: apt-get install chromium), so the page was not tested")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-quic", true))
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	ctx, done := chromedp.NewContext(ctx)
	defer done()
	step := func(what string, actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			var text, address string
			_ = chromedp.Run(ctx, chromedp.Location(&address), chromedp.Evaluate(`document.body.innerText`, &text))
			t.Fatalf("%s: %v\nat %s:\n%s", what, err, address, text)
		}
	}
	wait := func(js string) chromedp.Action {
		return chromedp.Poll(js, nil, chromedp.WithPollingTimeout(patience))
	}
	form := func(what string) {
		t.Helper()
		step(what, chromedp.WaitVisible("#username"), chromedp.SendKeys("#username", "alice@example.com"), chromedp.SendKeys("#password", password),
			chromedp.Click("button[type=submit]"), wait(`document.querySelector("#state")?.textContent === "Live" && !document.querySelector("#login").open`))
		var address string
		step("the address", chromedp.Location(&address))
		if !strings.HasPrefix(address, w.audit) || !strings.HasSuffix(address, "?namespace=team-data") {
			t.Errorf("%s: it led to %s", what, address)
		}
	}

	step("going to the page", chromedp.Navigate(w.audit+"/?namespace=team-data"))
	form("logging in")
	step("what was there", wait(`document.querySelector("#rows").innerText.includes("first")`))
	w.post(t, "seen")
	step("a new event on the open page", wait(`document.querySelector("#rows").innerText.includes("seen")`))

	// The session ends while the page is open.
	step("losing the session", network.ClearBrowserCookies(), chromedp.Evaluate(`document.querySelector("#rows a").click()`, nil))
	form("logging in again")
}
