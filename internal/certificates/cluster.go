package certificates

import (
	"context"
	"errors"
)

// Cluster reads the Secret and the webhook configurations.
type Cluster interface {
	// Configurations returns the webhook configurations that exist, and the names of which there is none.
	Configurations(ctx context.Context) (found []Configuration, missing []string, err error)
	// Secret returns the Secret. Where there is none, the result has no Data and its Write creates it.
	Secret(ctx context.Context) (Secret, error)
}

// Configuration is a webhook configuration as it was read.
type Configuration struct {
	Name    string   // with its kind
	Bundles [][]byte // the caBundle of each webhook
	Hosts   []string // the names that the API server calls, of those webhooks that name a Service of amp's namespace

	// Write writes the bundle into every webhook. ErrConflict: the configuration has changed since it was read.
	Write func(ctx context.Context, bundle []byte) error
}

// Secret is the Secret as it was read.
type Secret struct {
	Data map[string][]byte // nil: there is no Secret

	// Write replaces the data. ErrConflict: the Secret has changed since it was read.
	Write func(ctx context.Context, data map[string][]byte) error
}

// ErrConflict says that an object has changed since it was read, and has to be read again.
var ErrConflict = errors.New("it has changed since it was read")
