package cluster

import (
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/txn2/amp/internal/review"
)

// store is what the reflector writes to. It holds policies, not Namespaces: a Namespace is parsed when it
// changes, and the rest of its metadata is dropped.
type store struct {
	mu       sync.RWMutex
	policies map[string]*review.Policy
}

var (
	_ cache.ReflectorStore    = (*store)(nil)
	_ cache.TransformingStore = (*store)(nil)
)

// parsed is a Namespace of which only the policy is kept.
type parsed struct {
	metav1.ObjectMeta // only the name
	policy            *review.Policy
}

// Transformer returns what the reflector does with each Namespace of the first list as it arrives. Without it, the reflector
// would keep the metadata of all Namespaces until the list is complete: with 10,000 of them, that was the most memory that amp
// ever had.
func (s *store) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		p, err := parsedOf(obj)
		return p, err
	}
}

// get returns the policy of the Namespace called name, or nil if the watch does not know it.
func (s *store) get(name string) *review.Policy {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.policies[name]
}

// filled reports whether the store had the first list, or a part of it.
func (s *store) filled() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.policies != nil
}

// Add stores a Namespace that was created or has opted in.
func (s *store) Add(obj any) error {
	p, err := parsedOf(obj)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.policies == nil {
		s.policies = map[string]*review.Policy{}
	}
	s.policies[p.Name] = p.policy
	return nil
}

// Update stores a Namespace that has changed.
func (s *store) Update(obj any) error { return s.Add(obj) }

// Delete removes a Namespace that was deleted or has opted out.
func (s *store) Delete(obj any) error {
	p, err := parsedOf(obj)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.policies, p.Name)
	return nil
}

// Replace removes every Namespace and stores the given ones.
func (s *store) Replace(list []any, _ string) error {
	policies := make(map[string]*review.Policy, len(list))
	for _, obj := range list {
		p, err := parsedOf(obj)
		if err != nil {
			return err
		}
		policies[p.Name] = p.policy
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies = policies
	return nil
}

// Resync does nothing: no handler waits for the store's contents.
func (s *store) Resync() error { return nil }

func parsedOf(obj any) (*parsed, error) {
	switch obj := obj.(type) {
	case *parsed:
		return obj, nil
	case *metav1.PartialObjectMetadata:
		return &parsed{ObjectMeta: metav1.ObjectMeta{Name: obj.Name}, policy: parse(obj)}, nil
	default:
		return nil, fmt.Errorf("storing a Namespace: expected its metadata, got %T", obj)
	}
}
