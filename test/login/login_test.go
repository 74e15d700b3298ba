package login

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestReadersLogIn runs the manifests of docs/audit-login.md: the function, oauth2-proxy and a provider are real.
func TestReadersLogIn(t *testing.T) {
	w := newWorld(t)
	w.post(t, "first")
	t.Run("a stranger is sent to the login", w.stranger)
	t.Run("who goes past the proxy cannot read", w.past)
	t.Run("a person of the group reads", w.reader)
	t.Run("a person outside the group gets 403", w.outsider)
	t.Run("the stream stays open, and is quick", w.stream)
	t.Run("the page in a browser", w.page)
}

// visitor is a browser that keeps cookies.
func (w *world) visitor(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: w.ca.Transport, Jar: jar, Timeout: patience}
}

// answer is the last answer of a client that follows redirects.
type answer struct {
	status int
	url    string
	body   string
}

func (w *world) get(t *testing.T, client *http.Client, address string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.read(t, client, req)
}

func (w *world) read(t *testing.T, client *http.Client, req *http.Request) answer {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Request.URL.String(), string(body)}
}

// logIn follows a link to the audit page through the login, and returns where it leads.
func (w *world) logIn(t *testing.T, client *http.Client, path, person string) answer {
	t.Helper()
	form := w.get(t, client, w.audit+path, "Accept", "text/html")
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(form.body)
	if id == nil || !strings.HasPrefix(form.url, w.login+"/login/") {
		t.Fatalf("%s does not lead to the login: %+v", path, form)
	}
	values := url.Values{"id": {id[1]}, "username": {person}, "password": {password}}
	req, err := http.NewRequest(http.MethodPost, w.login+"/login/username", strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.read(t, client, req)
}

func (w *world) stranger(t *testing.T) {
	for name, client := range map[string]*http.Client{"without a cookie": w.visitor(t), "with a forged cookie": w.visitor(t)} {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		header := []string{"Authorization", "Bearer guessed"}
		if strings.Contains(name, "forged") {
			header = append(header, "Cookie", "__Host-audit=Zm9yZ2Vk|1790000000|c2lnbmVk")
		}
		for _, path := range []string{"/", "/app.js", "/api/events/stream", "/api/export", "/api/events?format=ndjson"} {
			resp := w.get(t, client, w.audit+path, header...)
			if resp.status != http.StatusFound || !strings.Contains(resp.body, w.login+"/auth?") || strings.Contains(resp.body, "first") {
				t.Errorf("%s, %s: %+v", name, path, resp)
			}
		}
		// What the page asks for: a redirect would lead a script nowhere.
		if resp := w.get(t, client, w.audit+"/api/events", append(header, "Accept", "application/json")...); resp.status != http.StatusUnauthorized || strings.Contains(resp.body, "error") {
			t.Errorf("%s, the API: %+v", name, resp)
		}
		if status := w.postTo(t, client, w.audit, "forged", "Bearer guessed"); status != http.StatusFound {
			t.Errorf("%s, a post: %d", name, status)
		}
	}
}

func (w *world) past(t *testing.T) {
	for _, path := range []string{"/api/events", "/api/events/stream", "/api/events/first", "/api/export", "/api/stats", "/api/values"} {
		// The headers by which other programs believe a proxy mean nothing to the function.
		resp := w.get(t, w.ca, w.function+path, "X-Forwarded-User", "alice", "X-Forwarded-Email", "alice@example.com", "X-Auth-Request-User", "alice")
		if resp.status != http.StatusUnauthorized {
			t.Errorf("%s without the token: %+v", path, resp)
		}
	}
}

func (w *world) reader(t *testing.T) {
	alice := w.visitor(t)
	page := w.logIn(t, alice, "/?namespace=team-data", "alice@example.com")
	if page.status != http.StatusOK || page.url != w.audit+"/?namespace=team-data" || !strings.Contains(page.body, `src="app.js"`) {
		t.Fatalf("after the login: %+v", page)
	}
	for path, want := range map[string]string{"/api/events?namespace=team-data": `"first"`, "/api/events/first": `"first"`, "/api/stats": `"unchanged"`, "/api/values": "team-data", "/app.js": "import"} {
		if resp := w.get(t, alice, w.audit+path); resp.status != http.StatusOK || !strings.Contains(resp.body, want) {
			t.Errorf("%s: %+v", path, resp)
		}
	}
	// The browser's own header does not reach the function.
	if resp := w.get(t, alice, w.audit+"/api/events", "Authorization", "Bearer wrong"); resp.status != http.StatusOK {
		t.Errorf("with a header of her own: %+v", resp)
	}
	if status := w.postTo(t, alice, w.audit, "forged", "Bearer "+writeToken); status != http.StatusUnauthorized {
		t.Errorf("a reader's post: %d", status)
	}
	w.get(t, alice, w.audit+"/oauth2/sign_out")
	if resp := w.get(t, alice, w.audit+"/api/events", "Accept", "application/json"); resp.status != http.StatusUnauthorized {
		t.Errorf("after the logout: %+v", resp)
	}
}

func (w *world) outsider(t *testing.T) {
	mallory := w.visitor(t)
	if resp := w.logIn(t, mallory, "/", "mallory@example.com"); resp.status != http.StatusForbidden {
		t.Errorf("after the login: %+v", resp)
	}
	if resp := w.get(t, mallory, w.audit+"/api/events", "Accept", "application/json"); resp.status == http.StatusOK || strings.Contains(resp.body, "first") {
		t.Errorf("the API: %+v", resp)
	}
}

// stream reads the live stream for longer than any timeout of the proxy: its upstreams have one of 30 s. The function says
// something every 15 s.
func (w *world) stream(t *testing.T) {
	t.Parallel()
	alice := w.visitor(t)
	w.logIn(t, alice, "/", "alice@example.com")
	alice.Timeout = 0
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.audit+"/api/events/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := alice.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	until := func(holds string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), holds) {
				return
			}
			if lines.Text() == ":" && holds != ":" {
				t.Fatalf("the stream had nothing with %q before it was silent for 15 s", holds)
			}
		}
		t.Fatalf("the stream ended before %q: %v", holds, lines.Err())
	}
	until(": amp")
	w.post(t, "live")
	until(`"live"`)
	for range 3 {
		until(":")
	}
	w.post(t, "later")
	until(`"later"`)
}
