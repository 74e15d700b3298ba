package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"runtime"
	"strconv"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
)

// forwarder is the least that a proxy of Pods must do: it decodes the envelope with the types of k8s.io/api, POSTs the
// Pod to one endpoint and answers with what comes back. It looks nothing up, checks nothing, logs nothing and emits no
// event. With -check it also applies the patch with json-patch.v4 and decodes the Pod: the plain way to check a patch.
func forwarder(args []string) error {
	flags := flag.NewFlagSet("forwarder", flag.ContinueOnError)
	url := flags.String("endpoint", "", "URL of the endpoint")
	cert, key := flags.String("cert", "", "PEM file"), flags.String("key", "", "PEM file")
	check := flags.Bool("check", false, "apply the patch and decode the Pod")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f := &forward{
		url:   *url,
		check: *check,
		// The defaults keep two idle connections: with more callers, the others would connect anew each time.
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", f.review)
	mux.HandleFunc("GET /memory", memory)
	listeners, err := listen(1)
	if err != nil {
		return err
	}
	return (&http.Server{Handler: mux}).ServeTLS(listeners[0], *cert, *key) // HTTP/2 and HTTP/1.1
}

type forward struct {
	url    string
	check  bool
	client *http.Client
}

func (f *forward) review(w http.ResponseWriter, r *http.Request) {
	body, err := readAll(r.Body, r.ContentLength)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil || review.Request == nil {
		http.Error(w, "expected an AdmissionReview", http.StatusBadRequest)
		return
	}
	pod := review.Request.Object.Raw
	patch, err := f.ask(r, pod)
	if err == nil && f.check {
		err = applied(pod, patch)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	patchType := admissionv1.PatchTypeJSONPatch
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: &patchType}
	review.Request = nil
	answer, err := json.Marshal(&review)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header()["Content-Type"] = jsonType
	_, _ = w.Write(answer)
}

// ask sends the Pod to the endpoint.
func (f *forward) ask(r *http.Request, pod []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, f.url, bytes.NewReader(pod))
	if err != nil {
		return nil, err
	}
	req.Header["Content-Type"] = jsonType
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return readAll(resp.Body, resp.ContentLength)
}

// readAll is io.ReadAll for a body of a known length.
func readAll(body io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 {
		b.Grow(int(length) + bytes.MinRead)
	}
	_, err := b.ReadFrom(body)
	return b.Bytes(), err
}

// applied applies the patch as the API server does, and decodes the Pod as the API server does.
func applied(pod, patch []byte) error {
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return err
	}
	result, err := decoded.Apply(pod)
	if err != nil {
		return err
	}
	return kjson.UnmarshalCaseSensitivePreserveInts(result, &corev1.Pod{})
}

// memory tells what the process has allocated so far, in the words of amp's metrics.
func memory(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	_, _ = io.WriteString(w, "go_memstats_alloc_bytes_total "+strconv.FormatUint(m.TotalAlloc, 10)+
		"\ngo_memstats_mallocs_total "+strconv.FormatUint(m.Mallocs, 10)+"\n")
}
