// Package cluster reads, writes and watches the objects of package certificates in a Kubernetes cluster: the Secret and
// the webhook configurations. It is a package of its own so that only it links client-go.
//
// Each object is watched by its name, as metadata only. A watch says that an object has changed; the object is then read
// from the API server. So the key is not sent with every change, and no decision rests on a cache.
package cluster

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/txn2/amp/internal/certificates"
	"github.com/txn2/amp/internal/review"
)

// manager is amp's name as a field manager. The fields that it wrote stay when the manifests, which do not have these
// fields, are applied again.
const manager = "amp"

// kind is a kind of object that amp writes.
type kind struct {
	name     string
	resource schema.GroupVersionResource
}

var (
	secrets        = kind{"Secret", schema.GroupVersionResource{Version: "v1", Resource: "secrets"}}
	configurations = []kind{
		{"MutatingWebhookConfiguration", schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}},
		{"ValidatingWebhookConfiguration", schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}},
	}
)

// rewatch is the backoff of a watch that failed.
var rewatch = wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Steps: 4, Jitter: 0.5}

// serviceAccountNamespace is the file that has the namespace of the Pod.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Namespace returns the namespace that amp runs in. Without a file kubeconfig it is the Pod's. With one, it is the
// namespace of its current context or, if the context has none, amp-system.
func Namespace(kubeconfig string) (string, error) {
	if kubeconfig == "" {
		b, err := os.ReadFile(serviceAccountNamespace)
		if err != nil {
			return "", fmt.Errorf("finding amp's own namespace: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return "", fmt.Errorf("finding amp's own namespace: %w", err)
	}
	if c := config.Contexts[config.CurrentContext]; c != nil && c.Namespace != "" {
		return c.Namespace, nil
	}
	return review.InstallNamespace, nil
}

// Objects are the Secret and the webhook configurations.
type Objects struct {
	client    dynamic.Interface
	metadata  metadata.Interface
	namespace string
	secret    string
	webhooks  []string
	log       *slog.Logger
	others    string // the Services of other namespaces that the webhooks call, as last logged; belongs to Configurations
}

// New returns the Secret with that name in the namespace, and the webhook configurations of either kind with those
// names. It makes no request.
func New(config *rest.Config, namespace, secret string, webhooks []string, log *slog.Logger) (*Objects, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for the cluster: %w", err)
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for the cluster: %w", err)
	}
	return &Objects{client: client, metadata: meta, namespace: namespace, secret: secret, webhooks: webhooks, log: log}, nil
}

// Configurations reads the configurations. A name is missing if there is none of either kind: an operator who does not
// want Pods to be validated may delete that one. Only one goroutine may call it.
func (o *Objects) Configurations(ctx context.Context) (found []certificates.Configuration, missing []string, err error) {
	var others []string
	for _, name := range o.webhooks {
		exists := false
		for _, k := range configurations {
			client := o.client.Resource(k.resource)
			u, err := client.Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, nil, failed("reading", k, name, err)
			}
			exists = true
			c, elsewhere, err := configuration(client, k, u, o.namespace)
			if err != nil {
				return nil, nil, err
			}
			found, others = append(found, c), append(others, elsewhere...)
		}
		if !exists {
			missing = append(missing, name)
		}
	}
	slices.Sort(others)
	if text := strings.Join(slices.Compact(others), ", "); text != o.others {
		if o.others = text; text != "" {
			o.log.Warn("webhooks call another installation of amp, not this one: it gets none of their reviews", "services", text, "namespace", o.namespace)
		}
	}
	return found, missing, nil
}

// configuration reads a configuration. A Service leads to Pods of its own namespace only. So a webhook that calls one of
// another namespace does not call this amp, and needs no name on its certificate: elsewhere has these Services. That is so
// while amp moves to another namespace.
func configuration(client dynamic.ResourceInterface, k kind, u *unstructured.Unstructured, namespace string) (c certificates.Configuration, elsewhere []string, err error) {
	c.Name = k.name + " " + u.GetName()
	webhooks, _, err := unstructured.NestedSlice(u.Object, "webhooks")
	if err != nil {
		return c, nil, failed("reading", k, u.GetName(), err)
	}
	for _, w := range webhooks {
		w, _ := w.(map[string]any)
		text, _, _ := unstructured.NestedString(w, "clientConfig", "caBundle")
		bundle, _ := base64.StdEncoding.DecodeString(text) // what is not base64 is not the right bundle either
		c.Bundles = append(c.Bundles, bundle)
		service, found, _ := unstructured.NestedMap(w, "clientConfig", "service")
		switch host := fmt.Sprintf("%v.%v.svc", service["name"], service["namespace"]); {
		case found && service["namespace"] == namespace:
			c.Hosts = append(c.Hosts, host)
		case found:
			elsewhere = append(elsewhere, host)
		}
	}
	c.Write = func(ctx context.Context, bundle []byte) error {
		for _, w := range webhooks {
			w, ok := w.(map[string]any)
			if !ok {
				continue
			}
			if err := unstructured.SetNestedField(w, base64.StdEncoding.EncodeToString(bundle), "clientConfig", "caBundle"); err != nil {
				return failed("writing the CA into", k, u.GetName(), err)
			}
		}
		if err := unstructured.SetNestedSlice(u.Object, webhooks, "webhooks"); err != nil {
			return failed("writing the CA into", k, u.GetName(), err)
		}
		_, err := client.Update(ctx, u, metav1.UpdateOptions{FieldManager: manager})
		return failed("writing the CA into", k, u.GetName(), err)
	}
	return c, elsewhere, nil
}

// Secret reads the Secret.
func (o *Objects) Secret(ctx context.Context) (certificates.Secret, error) {
	client := o.client.Resource(secrets.resource).Namespace(o.namespace)
	u, err := client.Get(ctx, o.secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return certificates.Secret{Write: func(ctx context.Context, data map[string][]byte) error {
			u := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": secrets.name, "type": string(corev1.SecretTypeTLS),
				"metadata": map[string]any{"name": o.secret, "namespace": o.namespace, "labels": map[string]any{
					"app.kubernetes.io/name": "amp", "app.kubernetes.io/part-of": "amp", "app.kubernetes.io/managed-by": "amp"}},
				"data": encoded(data),
			}}
			_, err := client.Create(ctx, u, metav1.CreateOptions{FieldManager: manager})
			return failed("making", secrets, o.secret, err)
		}}, nil
	}
	if err != nil {
		return certificates.Secret{}, failed("reading", secrets, o.secret, err)
	}
	data := map[string][]byte{}
	texts, _, err := unstructured.NestedStringMap(u.Object, "data")
	if err != nil {
		return certificates.Secret{}, failed("reading", secrets, o.secret, err)
	}
	for key, text := range texts {
		if data[key], err = base64.StdEncoding.DecodeString(text); err != nil {
			return certificates.Secret{}, failed("reading", secrets, o.secret, err)
		}
	}
	return certificates.Secret{Data: data, Write: func(ctx context.Context, data map[string][]byte) error {
		u.Object["data"] = encoded(data)
		_, err := client.Update(ctx, u, metav1.UpdateOptions{FieldManager: manager})
		return failed("writing", secrets, o.secret, err)
	}}, nil
}

func encoded(data map[string][]byte) map[string]any {
	texts := map[string]any{}
	for key, value := range data {
		texts[key] = base64.StdEncoding.EncodeToString(value)
	}
	return texts
}

// failed returns an error that says what failed with which object and, if it is forbidden, which manifest grants it. It is
// ErrConflict if the object has changed, or exists meanwhile.
func failed(doing string, k kind, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return certificates.ErrConflict
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s %s %s: %w; deploy/self/rbac.yaml grants it for the names amp and amp-tls", doing, k.name, name, err)
	}
	return fmt.Errorf("%s %s %s: %w", doing, k.name, name, err)
}

// Watch returns a channel that receives when an object has changed, until ctx ends. It holds one change: the reader reads
// all objects, however many have changed.
func (o *Objects) Watch(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	go o.watch(ctx, secrets, o.metadata.Resource(secrets.resource).Namespace(o.namespace), o.secret, changed)
	for _, k := range configurations {
		for _, name := range o.webhooks {
			go o.watch(ctx, k, o.metadata.Resource(k.resource), name, changed)
		}
	}
	return changed
}

// watch watches one object. It needs no list before: a watch without a version begins with what exists.
func (o *Objects) watch(ctx context.Context, k kind, client metadata.ResourceInterface, name string, changed chan<- struct{}) {
	// RBAC by name allows a watch with this selector.
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	var logged string
	backoff := rewatch
	for ctx.Err() == nil {
		w, err := client.Watch(ctx, metav1.ListOptions{FieldSelector: selector})
		if err == nil {
			backoff, logged = rewatch, ""
			for range w.ResultChan() {
				select {
				case changed <- struct{}{}:
				default: // a change is waiting to be read
				}
			}
		} else if err = failed("watching", k, name, err); ctx.Err() == nil && err.Error() != logged {
			logged = err.Error()
			o.log.Warn("a watch failed; amp sees changes only once a minute", "error", err)
		}
		select {
		case <-time.After(backoff.Step()):
		case <-ctx.Done():
		}
	}
}

var _ certificates.Cluster = (*Objects)(nil)
