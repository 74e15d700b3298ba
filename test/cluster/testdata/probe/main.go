// Command probe runs in the test's Pods, as image and as process:
//
//	probe show      prints as JSON what the process sees: its environment, what is mounted
//	probe serve     the same, and does not end
//	probe stream    creates Pods in namespace STREAM, one every 50 ms. GET /report and /stop answer how many
//	                there were and which failed
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	mode := ""
	if len(os.Args) == 2 {
		mode = os.Args[1]
	}
	switch mode {
	case "show":
		show()
	case "serve":
		show()
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		<-ended
	case "stream":
		log.Fatal(stream())
	default:
		log.Fatal("usage: probe show|serve|stream")
	}
}

func show() {
	seen := struct {
		Env    map[string]string
		Mounts map[string]bool // by path, whether a file could be written there
	}{map[string]string{}, map[string]bool{}}
	for _, e := range os.Environ() {
		name, value, _ := strings.Cut(e, "=")
		seen.Env[name] = value
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		path := strings.Fields(line)[4]
		if !strings.HasPrefix(path, "/home/") && !strings.HasPrefix(path, "/data/") {
			continue
		}
		seen.Mounts[path] = os.WriteFile(path+"/probe", nil, 0o600) == nil
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		log.Fatal(err)
	}
}

// report is the state of the stream.
type report struct {
	mu     sync.Mutex
	Done   int
	Failed []string
}

func stream() error {
	const account = "/var/run/secrets/kubernetes.io/serviceaccount/"
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	url := "https://kubernetes.default.svc/api/v1/namespaces/" + os.Getenv("STREAM") + "/pods"

	r, stop := &report{}, make(chan struct{})
	var pending sync.WaitGroup
	pending.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range 100000 {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			pending.Go(func() { r.add(create(client, url, string(token))) })
		}
	})

	http.HandleFunc("GET /report", r.serve)
	var once sync.Once
	http.HandleFunc("GET /stop", func(w http.ResponseWriter, req *http.Request) {
		once.Do(func() { close(stop) })
		pending.Wait()
		r.serve(w, req)
	})
	return http.ListenAndServe(":8080", nil)
}

// create creates a Pod that amp must mutate. It names a scheduler that does not exist, because the Pod need not run.
func create(client *http.Client, url, token string) error {
	const pod = `{"apiVersion":"v1","kind":"Pod",
		"metadata":{"generateName":"stream-","annotations":{"hub.jupyter.org/username":"alice"}},
		"spec":{"schedulerName":"none","containers":[{"name":"notebook","image":"dev.local/probe:e2e"}]}}`
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader([]byte(pod)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusCreated || !bytes.Contains(body, []byte(`"S3_PREFIX"`))) {
		err = fmt.Errorf("HTTP %d: %s", resp.StatusCode, body)
	}
	return err
}

func (r *report) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Done++
	if err != nil && len(r.Failed) < 100 {
		r.Failed = append(r.Failed, time.Now().Format(time.TimeOnly)+" "+err.Error())
	}
}

func (r *report) serve(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	json.NewEncoder(w).Encode(r)
}
