package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Cluster is where the Secret and the webhook configurations are.
type Cluster interface {
	// Configurations are those of the names that exist, and the names of which there is none.
	Configurations(ctx context.Context) (found []Configuration, missing []string, err error)
	// Secret is the Secret, or an empty one to be made.
	Secret(ctx context.Context) (Secret, error)
}

// Configuration is a webhook configuration as it was read.
type Configuration struct {
	Name    string // with its kind
	Bundles [][]byte
	Hosts   []string                                       // by which the API server calls its webhooks, where that are Services
	Write   func(ctx context.Context, bundle []byte) error // into every webhook; ErrConflict: it has changed since
}

// Secret is the Secret as it was read.
type Secret struct {
	Data  map[string][]byte
	Write func(ctx context.Context, data map[string][]byte) error // ErrConflict: it has changed since
}

// ErrConflict says that something has changed since it was read: read it again.
var ErrConflict = errors.New("it has changed since it was read")

const (
	resync   = time.Minute      // how long a change that no watch told of may stay unseen
	patience = 20 * time.Second // for one look at the cluster

	firstRetry, lastRetry = 100 * time.Millisecond, 10 * time.Second
)

// Keeper keeps one replica's certificate. Its methods are safe for concurrent use.
type Keeper struct {
	cluster Cluster
	config  Config
	log     *slog.Logger
	probed  *tls.Certificate
	writes  *rate.Limiter

	memory  Memory // Run's alone
	trouble string // what was last logged of it
	current atomic.Pointer[served]
}

// served is what the listener shows.
type served struct {
	pair     *Pair
	verified bool
}

// NewKeeper returns a keeper that has not yet looked at the cluster: see Run.
func NewKeeper(cluster Cluster, config Config, log *slog.Logger) (*Keeper, error) {
	// The kubelet's probes ask over TLS from the start, and verify nothing.
	probed, err := Make(time.Now(), config.Lifetime, config.Names)
	if err != nil {
		return nil, err
	}
	return &Keeper{
		cluster: cluster, config: config, log: log, probed: probed.Certificate,
		// A renewal is four writes. Somebody else who writes the same as well, such as another tool that injects
		// its CA, must not make amp write as fast as it can.
		writes: rate.NewLimiter(1, 10),
	}, nil
}

// Certificate is what the listener is to show. Before the first look it is one that nobody trusts.
func (k *Keeper) Certificate() *tls.Certificate {
	if s := k.current.Load(); s != nil {
		return s.pair.Certificate
	}
	return k.probed
}

// NotAfter is when the certificate ends that the replica serves; the zero time while there is none that has verified
// against the bundles.
func (k *Keeper) NotAfter() time.Time {
	if s := k.current.Load(); s != nil && s.verified {
		return s.pair.NotAfter()
	}
	return time.Time{}
}

// Ready reports whether what the replica serves has verified against the bundles in the cluster, and has not
// ended.
func (k *Keeper) Ready() bool {
	s := k.current.Load()
	return s != nil && s.verified && s.pair.good(time.Now())
}

// Run takes each step as it comes due, until ctx ends. It looks at the cluster at once, and whenever changed
// says so.
func (k *Keeper) Run(ctx context.Context, changed <-chan struct{}) {
	retry := firstRetry
	for {
		again, err := k.look(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := min(time.Until(again), resync)
		if err != nil {
			k.tell(err.Error())
			wait = retry/2 + rand.N(retry/2)
			retry = min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// look takes the next step, if there is one, and returns when to look again.
func (k *Keeper) look(ctx context.Context) (again time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// The Secret after the configurations: what is written into a configuration, on condition that it is as it
	// was read, is then never older than what is in it.
	configurations, missing, err := k.cluster.Configurations(ctx)
	if err != nil {
		return again, err
	}
	secret, err := k.cluster.Secret(ctx)
	if err != nil {
		return again, err
	}
	seen := Seen{Missing: len(missing) > 0, Secret: secret.Data}
	for _, c := range configurations {
		seen.Bundles, seen.Hosts = append(seen.Bundles, c.Bundles...), append(seen.Hosts, c.Hosts...)
	}
	d, err := k.memory.Decide(time.Now(), k.config, seen)
	if err != nil {
		return again, err
	}
	k.show()

	wrote, err := k.write(ctx, d, secret, configurations)
	switch {
	case errors.Is(err, ErrConflict) || err == nil && wrote:
		return time.Now(), nil
	case err != nil:
		return again, err
	case len(missing) > 0:
		k.tell("there is no webhook configuration named " + strings.Join(missing, ", ") + " (AMP_WEBHOOKS)")
	default:
		k.tell(k.config.unnamed(seen.Hosts))
	}
	return d.Again, nil
}

// unnamed says that the API server calls by names that the certificate will never have; empty if there are none such.
func (c Config) unnamed(hosts []string) string {
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(host string) bool { return slices.Contains(c.Names, host) })
	if len(hosts) == 0 {
		return ""
	}
	slices.Sort(hosts)
	return "the webhooks call " + strings.Join(slices.Compact(hosts), ", ") + ", which is to be in AMP_TLS_DNS_NAMES: these are all names on the certificate"
}

// write writes what was decided.
func (k *Keeper) write(ctx context.Context, d Decision, secret Secret, configurations []Configuration) (wrote bool, err error) {
	if d.Step != "" {
		if err := k.writes.Wait(ctx); err != nil {
			return false, err
		}
		if err := secret.Write(ctx, d.State.write(secret.Data)); err != nil {
			return false, err
		}
		attributes := []any{"step", string(d.Step), "cas", len(d.State.CAs)}
		if d.Because != "" {
			attributes = append(attributes, "because", d.Because)
		}
		for name, p := range map[string]*Pair{"serving_until": d.State.Serving, "next_until": d.State.Next} {
			if p != nil {
				attributes = append(attributes, name, p.NotAfter())
			}
		}
		k.log.Info("certificate kept", attributes...)
		return true, nil
	}
	var errs []error
	for _, c := range configurations {
		if !slices.ContainsFunc(c.Bundles, func(b []byte) bool { return !bytes.Equal(b, d.Bundle) }) {
			continue
		}
		err := k.writes.Wait(ctx)
		if err == nil {
			err = c.Write(ctx, d.Bundle)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		k.log.Info("CA bundle written", "into", c.Name, "cas", len(d.State.CAs))
		wrote = true
	}
	return wrote, errors.Join(errs...)
}

// show gives the listener what the replica serves.
func (k *Keeper) show() {
	now, before := k.memory, k.current.Load()
	if now.Serving == nil || before != nil && bytes.Equal(before.pair.cert, now.Serving.cert) && before.pair.ends.Equal(now.Serving.ends) &&
		before.verified == now.Verified {
		return
	}
	k.current.Store(&served{now.Serving, now.Verified})
	k.log.Info("serving certificate", "serial", fmt.Sprintf("%x", now.Serving.leaf().SerialNumber), "until", now.Serving.NotAfter(),
		"renewal", now.Serving.Renewal(), "verified", now.Verified)
}

// tell logs what keeps the certificate from being kept, once for each cause.
func (k *Keeper) tell(trouble string) {
	if trouble == k.trouble {
		return
	}
	k.trouble = trouble
	if trouble == "" {
		k.log.Info("the certificate can be kept again")
		return
	}
	k.log.Error("the certificate cannot be kept; amp tries on", "ready", k.Ready(), "error", trouble)
}
