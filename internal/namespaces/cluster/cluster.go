// Package cluster gets the policies of the Namespaces of a Kubernetes cluster. It is not part of package
// namespaces, so that a program that needs no cluster does not link client-go.
//
// It watches only the metadata of Namespaces that have opted in. If the watch does not know a Namespace, it
// reads the Namespace live. So amp answers correctly if a review arrives before the watch has synced, or
// right after the Namespace was created. metadata.Client and Reflector do the work of an informer, without
// the clientset's 12 MB. Policies are parsed once per change and not once per review.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// probed is the Namespace that amp reads at the start, to show that it can read Namespaces. Every cluster has
// it. An answer of "not found" is good enough, too.
const probed = metav1.NamespaceDefault

// rewatch is how long the reflector waits after its watch broke. Its own backoff grows to a minute, and for
// so long amp would use old policies after a restart of the API server. One request a second from each
// replica is a small load.
var rewatch = wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Steps: 5, Cap: time.Second, Jitter: 0.5}

// Config returns how to reach the cluster: by the file kubeconfig, or, if that is empty, as a Pod in it.
func Config(kubeconfig, userAgent string) (*rest.Config, error) {
	var config *rest.Config
	var err error
	if kubeconfig == "" {
		config, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("finding the cluster: this is not a Pod in a cluster; set KUBECONFIG, or AMP_NAMESPACES_FILE to use a file instead of a cluster")
		}
	} else {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	config.UserAgent = userAgent
	// With client-go's own limit of 5 requests a second, reviews would wait for one another. The API server
	// protects itself from too many requests.
	config.QPS = -1
	return config, nil
}

// Namespaces knows the policies of a cluster's Namespaces.
type Namespaces struct {
	client   metadata.Getter
	policies store
	ready    atomic.Bool
	failed   atomic.Pointer[error] // why the last read before that failed
}

// New returns the Namespaces of the cluster that config leads to. It makes no request: see Run.
func New(config *rest.Config) (*Namespaces, error) {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for the cluster: %w", err)
	}
	return &Namespaces{client: client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})}, nil
}

// Run watches the Namespaces until ctx ends.
func (n *Namespaces) Run(ctx context.Context) {
	go n.probe(ctx)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = namespaces.LabelEnabled + "=true"
			return n.client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = namespaces.LabelEnabled + "=true"
			return n.client.Watch(ctx, o)
		},
	}
	backoff := rewatch
	cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, n.client), &metav1.PartialObjectMetadata{}, &n.policies,
		cache.ReflectorOptions{Name: "namespaces", TypeDescription: "Namespace", Backoff: &backoff}).RunWithContext(ctx)
}

// probe reads one Namespace as soon as that is possible. So amp is ready before the first list of the watch
// is complete.
func (n *Namespaces) probe(ctx context.Context) {
	// Without success this ends only when ctx ends, and then the result is not used.
	_ = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := n.get(ctx, probed)
		if err == nil || apierrors.IsNotFound(err) {
			return true, nil
		}
		n.failed.Store(&err)
		return false, nil
	})
	if ctx.Err() == nil {
		n.ready.Store(true)
	}
}

// NotReady says why no Namespace could be read since the start; nil: one could. It stays nil while the API server is
// away: the policies that amp has read are still valid.
func (n *Namespaces) NotReady() error {
	if n.ready.Load() || n.policies.filled() {
		return nil
	}
	if err := n.failed.Load(); err != nil {
		return fmt.Errorf("no Namespace could be read yet: %w", *err)
	}
	return errors.New("no Namespace could be read yet")
}

// Policy returns what the Namespace called name says. An error means that the Namespace could not be read.
func (n *Namespaces) Policy(ctx context.Context, name string) (*review.Policy, error) {
	if p := n.policies.get(name); p != nil {
		return p, nil
	}
	// The policy is not stored here: amp would not see its next change. The watch stores it soon.
	meta, err := n.get(ctx, name)
	if err != nil {
		// A user may read this. The URL of the API server tells a user nothing, and a kubeconfig's may hold a password.
		if request := (*url.Error)(nil); errors.As(err, &request) {
			err = request.Err
		}
		return nil, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return parse(meta), nil
}

func (n *Namespaces) get(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	meta, err := n.client.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		n.ready.Store(true)
	}
	return meta, err
}

func parse(meta *metav1.PartialObjectMetadata) *review.Policy {
	return namespaces.Parse(meta.Name, meta.Labels, meta.Annotations)
}
