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

var _ cache.ReflectorStore = (*store)(nil)

// get returns the policy of the Namespace called name, or nil if the watch does not know it.
func (s *store) get(name string) *review.Policy {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.policies[name]
}

// Add stores a Namespace that was created or has opted in.
func (s *store) Add(obj any) error {
	meta, err := metaOf(obj)
	if err != nil {
		return err
	}
	p := parse(meta)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.policies == nil {
		s.policies = map[string]*review.Policy{}
	}
	s.policies[meta.Name] = p
	return nil
}

// Update stores a Namespace that has changed.
func (s *store) Update(obj any) error { return s.Add(obj) }

// Delete removes a Namespace that was deleted or has opted out.
func (s *store) Delete(obj any) error {
	meta, err := metaOf(obj)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.policies, meta.Name)
	return nil
}

// Replace removes every Namespace and stores the given ones.
func (s *store) Replace(list []any, _ string) error {
	policies := make(map[string]*review.Policy, len(list))
	for _, obj := range list {
		meta, err := metaOf(obj)
		if err != nil {
			return err
		}
		policies[meta.Name] = parse(meta)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies = policies
	return nil
}

// Resync does nothing: no handler waits for the store's contents.
func (s *store) Resync() error { return nil }

func metaOf(obj any) (*metav1.PartialObjectMetadata, error) {
	meta, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, fmt.Errorf("storing a Namespace: expected its metadata, got %T", obj)
	}
	return meta, nil
}
