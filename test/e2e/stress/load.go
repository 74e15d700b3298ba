package stress

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/txn2/amp/test/e2e/harness"
)

// Hard is the deadline of a review: timeoutSeconds of the webhooks in deploy/.
const Hard = 2 * time.Second

// Create is the creation of a Pod.
type Create struct {
	Namespace, Name string
	From, To        time.Time
	Mutated         bool // by what the API server answered
	Err             error
}

// Mutated reports whether the endpoint has changed the Pod, and amp has put its stamp on it.
func Mutated(pod *corev1.Pod) bool {
	return pod.Annotations["amp.txn2.com/example"] == "mutated" && len(pod.Spec.InitContainers) == 2 && Stamp(pod) != ""
}

// Stamp is the id of the Pod's event.
func Stamp(pod *corev1.Pod) string { return pod.Annotations["amp.txn2.com/event"] }

// Asks is what makes the example change a Pod.
func Asks(p *corev1.Pod) {
	harness.Labelled("app", "web")(p)
	harness.Annotated("amp.txn2.com/example", "mutate")(p)
}

// Creator returns a function that creates Pods in a namespace and hands each result on. It is for [harness.NewStreamAt].
func (w *World) Creator(ns *harness.Namespace, note func(Create), options ...func(*corev1.Pod)) func(n int) error {
	config := w.API.Config()
	config.WarningHandler = rest.NoWarnings{}
	client := kubernetes.NewForConfigOrDie(config).CoreV1().Pods(ns.Name)
	return func(n int) error {
		// Longer than the API server itself waits for two webhooks, so that it is not the client who gives up.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c := Create{Namespace: ns.Name, Name: fmt.Sprintf("pod-%d", n), From: time.Now()}
		pod, err := client.Create(ctx, harness.Pod(c.Name, append(options, Asks)...), metav1.CreateOptions{})
		c.To, c.Err, c.Mutated = time.Now(), err, err == nil && Mutated(pod)
		note(c)
		return c.Err
	}
}

// Answer is amp's answer to a review that the test sent itself.
type Answer struct {
	From, To time.Time
	Status   int // 0: none came within three times the deadline
	Patched  bool
	Err      error
}

// Caller sends reviews to one replica, as the API server does: over one connection by HTTP/2.
type Caller struct {
	client http.Client
	url    string
}

// NewCaller returns a caller of a replica's webhook for namespaces under Fail.
func NewCaller(r *Replica) *Caller {
	return &Caller{
		url: fmt.Sprintf("https://%s/mutate/fail?timeout=%v", r.Address, Hard),
		client: http.Client{Timeout: 3 * Hard, Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			// The API server's own trust in the certificate is what the other Pods are about.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		}},
	}
}

// Close closes the connections.
func (c *Caller) Close() { c.client.CloseIdleConnections() }

// Review sends the review of a Pod.
func (c *Caller) Review(namespace, uid string, pod *corev1.Pod) Answer {
	review, err := Encode(namespace, uid, pod)
	if err != nil {
		return Answer{Err: err}
	}
	return c.Send(review)
}

// Encode returns the review of a Pod, as JSON.
func Encode(namespace, uid string, pod *corev1.Pod) ([]byte, error) {
	pod = pod.DeepCopy()
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	return json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": map[string]any{
		"uid": uid, "operation": "CREATE", "namespace": namespace, "name": pod.Name,
		"resource": map[string]string{"group": "", "version": "v1", "resource": "pods"},
		"userInfo": map[string]string{"username": "stress"},
		"object":   pod,
	}})
}

// Send sends a review, or what is to be taken for one.
func (c *Caller) Send(review []byte) Answer {
	a := Answer{From: time.Now()}
	resp, err := c.client.Post(c.url, "application/json", bytes.NewReader(review))
	if err == nil {
		var body []byte
		a.Status = resp.StatusCode
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		a.Patched = bytes.Contains(body, []byte(`"patch":`))
	}
	a.To, a.Err = time.Now(), err
	return a
}
