// Package dashboard makes the picture of the Grafana dashboard in the docs: `make dashboard`. amp works for some minutes, and
// things fail meanwhile (work_test.go). A Prometheus scrapes amp and the API server, and page.jsx draws what
// deploy/dashboards/amp.json asks it for. It is not a part of `make e2e`.
package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/txn2/amp/test/e2e/harness"
)

// The variables of the test.
const (
	pageVariable = "AMP_TEST_DASHBOARD"     // the folder of page.js and its packages, where dashboard.png goes
	forVariable  = "AMP_TEST_DASHBOARD_FOR" // how long amp works, a Go duration
)

// interval is the time from one scrape to the next.
const interval = 3 * time.Second

// replicas are the addresses of the replicas' metrics, by the names of their Pods.
var replicas = map[string]string{"amp-0": "127.0.0.1:2112", "amp-1": "127.0.0.1:2113"}

// TestMain gives the test a network and a file /etc/hosts of its own. There its endpoints have names and port 80, as
// Services have.
func TestMain(m *testing.M) {
	if os.Getenv(pageVariable) != "" {
		if err := harness.Inside(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func TestDashboard(t *testing.T) {
	page := os.Getenv(pageVariable)
	if page == "" {
		t.Skipf("SKIPPED: %s says where the page is, see `make dashboard`", pageVariable)
	}
	length, err := time.ParseDuration(os.Getenv(forVariable))
	if err != nil {
		t.Fatalf("%s: %v", forVariable, err)
	}
	w, err := harness.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.KillReplicas() // this test is not about how they drain
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	prometheus := startPrometheus(t, w)
	from, to := work(t, w, length)
	picture := filepath.Join(page, "dashboard.png")
	shoot(t, page, prometheus, fmt.Sprintf("from=%d&to=%d&interval=%d", from.Unix(), to.Unix(), int(interval.Seconds())), picture)
	if err := shrink(picture); err != nil {
		t.Fatal(err)
	}
}

// startPrometheus starts Debian's Prometheus. It scrapes the replicas with the labels that its operator would give, and what
// the API server says of webhooks.
func startPrometheus(t *testing.T, w *harness.World) *url.URL {
	t.Helper()
	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", harness.FreePort())
	config := fmt.Sprintf(`global: {scrape_interval: %[1]v, scrape_timeout: %[1]v}
scrape_configs:
- job_name: apiserver
  scheme: https
  tls_config: {ca_file: ca, cert_file: cert, key_file: key, server_name: localhost}
  static_configs: [{targets: [%[2]q]}]
  metric_relabel_configs: [{source_labels: [__name__], regex: "apiserver_admission_webhook_.*", action: keep}]
- job_name: amp
  static_configs:
`, interval, strings.TrimPrefix(w.API.URL, "https://"))
	for pod, address := range replicas {
		config += fmt.Sprintf("  - {targets: [%q], labels: {namespace: amp-system, pod: %s}}\n", address, pod)
	}
	for name, content := range map[string][]byte{"ca": w.API.CA(), "cert": w.API.Admin().Certificate, "key": w.API.Admin().Key, "prometheus.yml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("prometheus", "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+at, "--log.level=warn")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &url.URL{Scheme: "http", Host: at}
}

// shoot has Chromium draw the page, and take the picture.
func shoot(t *testing.T, page string, prometheus *url.URL, query, picture string) {
	t.Helper()
	said := make(chan []string, 100) // by the page: what is wrong
	files := func(folder string) http.Handler { return http.FileServer(http.Dir(filepath.Join(page, folder))) }
	mux := http.NewServeMux()
	mux.Handle("/", files("."))
	mux.Handle("/public/build/", http.StripPrefix("/public/build/", files("node_modules/@grafana/ui/dist/public")))
	mux.Handle("/api/", httputil.NewSingleHostReverseProxy(prometheus))
	mux.HandleFunc("/amp.json", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "../../../deploy/dashboards/amp.json")
	})
	mux.HandleFunc("/said", func(_ http.ResponseWriter, r *http.Request) {
		var problems []string
		json.NewDecoder(r.Body).Decode(&problems)
		said <- problems
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `<!doctype html><link rel="stylesheet" href="page.css"><main></main><script type="module" src="page.js"></script>`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	out, err := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--font-render-hinting=none",
		"--disable-background-networking", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(),
		// The page's clock stands still while it waits for an answer: a slow machine draws the same picture.
		"--virtual-time-budget=30000", "--window-size=1400,1878", "--screenshot="+picture, server.URL+"/?"+query).CombinedOutput()
	if err != nil || len(said) == 0 {
		t.Fatalf("Chromium drew nothing: %v\n%s", err, out)
	}
	for len(said) > 0 {
		if problems := <-said; len(problems) > 0 {
			t.Errorf("the page says %q", problems)
		}
	}
}

// shrink leaves a picture 256 colours, which makes it a third as large: those that it has most of, and of similar ones only one. The
// others are at the edges of letters and lines.
func shrink(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		return err
	}
	size, pixels := picture.Bounds(), map[color.Color]int{}
	for i := range size.Dx() * size.Dy() {
		pixels[picture.At(i%size.Dx(), i/size.Dx())]++
	}
	var colours color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(pixels), func(a, b color.Color) int { return cmp.Compare(pixels[b], pixels[a]) }) {
		if len(colours) < 256 && !slices.ContainsFunc(colours, func(d color.Color) bool { return similar(c, d) }) {
			colours = append(colours, c)
		}
	}
	small := image.NewPaletted(size, colours)
	draw.Draw(small, size, picture, size.Min, draw.Src)
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	return encoder.Encode(out, small)
}

func similar(c, d color.Color) bool {
	r, g, b, _ := c.RGBA()
	r2, g2, b2, _ := d.RGBA()
	apart := func(x, y uint32) uint32 { return max(x, y) - min(x, y) }
	return max(apart(r, r2), apart(g, g2), apart(b, b2)) < 8<<8
}
