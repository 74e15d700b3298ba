package harness

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Namespace is a namespace of a test, and the user who creates Pods in it.
type Namespace struct {
	Name string

	world *World
	t     *testing.T
	as    rest.ImpersonationConfig
}

// On is a namespace's labels and annotations, by key. The keys of labels are known.
type On map[string]string

// Enabled returns what a namespace says that has opted in and names an endpoint, with what more says in addition.
func Enabled(endpoint string, more ...On) On {
	on := On{"amp.txn2.com/enabled": "true", "amp.txn2.com/ep": endpoint}
	for _, m := range more {
		for k, v := range m {
			on[k] = v
		}
	}
	return on
}

// Ignore is the failure policy under which a Pod passes unmutated.
var Ignore = On{"amp.txn2.com/failure-policy": "Ignore"}

// Namespace creates a namespace of its own for a test. It stays when the test ends: nothing here could empty it, and
// the whole API server ends with the last test.
func (w *World) Namespace(t *testing.T, says On) *Namespace {
	t.Helper()
	w.namespaces++
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("story-%d", w.namespaces), Labels: map[string]string{}, Annotations: map[string]string{},
	}}
	for key, value := range says {
		switch key {
		case "amp.txn2.com/enabled", "amp.txn2.com/failure-policy", "amp.txn2.com/validate":
			n.Labels[key] = value
		default:
			n.Annotations[key] = value
		}
	}
	client := kubernetes.NewForConfigOrDie(w.API.Config())
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), n, metav1.CreateOptions{}); err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	return &Namespace{Name: n.Name, world: w, t: t}
}

// Existing is a namespace that the test did not create.
func (w *World) Existing(t *testing.T, name string) *Namespace {
	return &Namespace{Name: name, world: w, t: t}
}

// Annotate changes an annotation of the namespace.
func (n *Namespace) Annotate(key, value string) {
	n.t.Helper()
	n.patch("annotations", key, value)
}

// Label changes a label of the namespace.
func (n *Namespace) Label(key, value string) {
	n.t.Helper()
	n.patch("labels", key, value)
}

func (n *Namespace) patch(field, key, value string) {
	n.t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{%q:{%q:%q}}}`, field, key, value)
	client := kubernetes.NewForConfigOrDie(n.world.API.Config())
	if _, err := client.CoreV1().Namespaces().Patch(n.t.Context(), n.Name, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		n.t.Fatalf("changing the namespace: %v", err)
	}
}

// As returns the same namespace for another user, who has all rights there.
func (n *Namespace) As(user string, groups ...string) *Namespace {
	other := *n
	other.as = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:masters")}
	return &other
}

// Created is the result of creating a Pod.
type Created struct {
	*corev1.Pod // as the API server answered; nil if it refused
	Err         error
	Warnings    []string // that the client was shown
	Took        time.Duration
}

// Create creates a Pod. The options are at most one metav1.CreateOptions.
func (n *Namespace) Create(pod *corev1.Pod, options ...metav1.CreateOptions) Created {
	return n.CreateWithin(20*time.Second, pod, options...)
}

// CreateWithin creates a Pod as a client that waits only so long. Like JupyterHub, it does not tell the API server
// how long.
func (n *Namespace) CreateWithin(patience time.Duration, pod *corev1.Pod, options ...metav1.CreateOptions) Created {
	var warnings collector
	config := n.world.API.Config()
	config.Impersonate = n.as
	config.WarningHandler = &warnings
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	start := time.Now()
	pod, err := kubernetes.NewForConfigOrDie(config).CoreV1().Pods(n.Name).Create(ctx, pod, append(options, metav1.CreateOptions{})[0])
	c := Created{Err: err, Took: time.Since(start), Warnings: warnings.all}
	if err == nil {
		c.Pod = pod
	}
	return c
}

// MustCreate creates a Pod. It fails the test if the API server refuses.
func (n *Namespace) MustCreate(pod *corev1.Pod, options ...metav1.CreateOptions) Created {
	n.t.Helper()
	c := n.Create(pod, options...)
	if c.Err != nil {
		n.t.Fatalf("creating a Pod: %v", c.Err)
	}
	return c
}

// Stored is the Pod as it is stored, nil if it is not stored.
func (n *Namespace) Stored(name string) *corev1.Pod {
	n.t.Helper()
	pod, err := kubernetes.NewForConfigOrDie(n.world.API.Config()).CoreV1().Pods(n.Name).Get(n.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		n.t.Fatalf("reading a Pod: %v", err)
	}
	return pod
}

// All are the Pods that are stored.
func (n *Namespace) All() []corev1.Pod {
	n.t.Helper()
	pods, err := kubernetes.NewForConfigOrDie(n.world.API.Config()).CoreV1().Pods(n.Name).List(n.t.Context(), metav1.ListOptions{})
	if err != nil {
		n.t.Fatalf("listing Pods: %v", err)
	}
	return pods.Items
}

// Pod is an ordinary Pod, changed by the options. A name that ends with a hyphen is a generateName.
func Pod(name string, options ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}},
	}
	if name[len(name)-1] == '-' {
		p.Name, p.GenerateName = "", name
	}
	for _, change := range options {
		change(p)
	}
	return p
}

// Labelled gives the Pod a label.
func Labelled(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { metav1.SetMetaDataLabel(&p.ObjectMeta, key, value) }
}

// Annotated gives the Pod an annotation.
func Annotated(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { metav1.SetMetaDataAnnotation(&p.ObjectMeta, key, value) }
}

// Restricted makes the Pod one that Pod Security's level "restricted" admits.
func Restricted(p *corev1.Pod) {
	yes, no := true, false
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// Controlled makes a ReplicaSet the controller of the Pod.
func Controlled(p *corev1.Pod) {
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "rs", UID: "6c1b9d0e-0000-4000-8000-000000000001", Controller: &yes,
	}}
}

// collector keeps the warnings that a client is shown.
type collector struct {
	mu  sync.Mutex
	all []string
}

func (c *collector) HandleWarningHeader(code int, _ string, text string) {
	if code != 299 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, text)
}
