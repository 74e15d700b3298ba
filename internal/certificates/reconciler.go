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

const (
	resync           = time.Minute      // how long a change that no watch reported can stay unseen
	reconcileTimeout = 20 * time.Second // of one reconciliation

	firstRetry, lastRetry = 100 * time.Millisecond, 10 * time.Second
)

// Reconciler keeps the certificate of one replica. Its exported methods except Run and Reconcile are safe for
// concurrent use.
type Reconciler struct {
	cluster Cluster
	config  Config
	log     *slog.Logger
	initial *tls.Certificate // served until there is another one
	writes  *rate.Limiter

	replica  Replica // belongs to Run
	reported string  // the problem that was last logged; belongs to Run
	awaited  string  // what it waits for, as last logged; belongs to Run
	current  atomic.Pointer[served]
	why      atomic.Pointer[string] // why the replica is not ready, if it is not; nil: before the first reconciliation
}

// served is what the listener serves.
type served struct {
	pair     *Pair
	verified bool
}

// NewReconciler returns a reconciler that has not looked at the cluster yet: see Run.
func NewReconciler(cluster Cluster, config Config, log *slog.Logger) (*Reconciler, error) {
	// The kubelet's probes use TLS from the start, and do not verify the certificate.
	initial, err := Make(time.Now(), config.Lifetime, config.Names)
	if err != nil {
		return nil, err
	}
	return &Reconciler{
		cluster: cluster, config: config, log: log, initial: initial.Certificate,
		// A renewal is four writes. The limit is for another program that writes the same fields, such as a tool
		// that injects its own CA: amp must not answer each of its writes as fast as it can.
		writes: rate.NewLimiter(1, 10),
	}, nil
}

// Certificate is what the listener serves. Before the first reconciliation it is a certificate that no client trusts.
func (r *Reconciler) Certificate() *tls.Certificate {
	if s := r.current.Load(); s != nil {
		return s.pair.Certificate
	}
	return r.initial
}

// NotAfter is when the certificate ends that the replica serves. It is the zero time while the bundles have not
// verified that certificate.
func (r *Reconciler) NotAfter() time.Time {
	if s := r.current.Load(); s != nil && s.verified {
		return s.pair.NotAfter()
	}
	return time.Time{}
}

// Ready reports whether the bundles in the cluster have verified what the replica serves, and that has not ended.
func (r *Reconciler) Ready() bool {
	s := r.current.Load()
	return s != nil && s.verified && s.pair.valid(time.Now())
}

// NotReady says why the replica is not ready, in one line; nil: it is ready.
func (r *Reconciler) NotReady() error {
	if r.Ready() {
		return nil
	}
	if why := r.why.Load(); why != nil {
		return errors.New(*why)
	}
	return errors.New("amp has not read its certificate from the cluster yet")
}

// Run reconciles until ctx ends: at once, whenever changed receives, and when the next step is due.
func (r *Reconciler) Run(ctx context.Context, changed <-chan struct{}) {
	retry := firstRetry
	for {
		requeueAfter, err := r.Reconcile(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := min(requeueAfter, resync)
		if err != nil {
			r.report(err.Error())
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

// Reconcile takes the next step, if there is one, and returns how long after that it is to be called again; 0: at once.
func (r *Reconciler) Reconcile(ctx context.Context) (requeueAfter time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	// The Secret after the configurations: see Observe.
	configurations, missing, err := r.cluster.Configurations(ctx)
	if err != nil {
		return 0, err
	}
	secret, err := r.cluster.Secret(ctx)
	if err != nil {
		return 0, err
	}
	o := Observe(time.Now(), configurations, missing, secret.Data)
	d, replica := Decide(r.config, r.replica, o)
	if d.New != nil && d.New.ServeNow {
		// Another replica may have become ready since the configurations were read, if the Secret was deleted only then.
		// A replica is ready only after its CA was written into the bundles: now they show it. What is written next
		// is the Secret, so the order of reading does not matter here.
		if configurations, missing, err = r.cluster.Configurations(ctx); err != nil {
			return 0, err
		}
		o = Observe(time.Now(), configurations, missing, secret.Data)
		d, replica = Decide(r.config, r.replica, o)
	}
	r.replica = replica
	r.publish()
	if d.New != nil {
		if d.Secret, err = d.New.make(d.Secret, o.At, r.config.Lifetime); err != nil {
			return 0, err
		}
	}

	wrote, err := r.write(ctx, d, secret, configurations)
	switch {
	case errors.Is(err, ErrConflict) || err == nil && wrote:
		return 0, nil
	case err != nil:
		return 0, err
	case len(missing) > 0:
		r.report("there is no webhook configuration named " + strings.Join(missing, ", ") + " (AMP_WEBHOOKS)")
	default:
		r.report(r.config.uncovered(o.Hosts))
	}
	r.await(r.replica.waits(d.Secret, o.At))
	return d.RequeueAfter, nil
}

// uncovered says which names the API server calls that will never be on the certificate; empty: none.
func (c Config) uncovered(hosts []string) string {
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(host string) bool { return slices.Contains(c.Names, host) })
	if len(hosts) == 0 {
		return ""
	}
	slices.Sort(hosts)
	return "the webhooks call " + strings.Join(slices.Compact(hosts), ", ") + ", which is not on the certificate: add it to AMP_TLS_DNS_NAMES"
}

// write writes what was decided: the Secret or, if there is no step, each configuration with a wrong bundle.
func (r *Reconciler) write(ctx context.Context, d Decision, secret Secret, configurations []Configuration) (wrote bool, err error) {
	if d.Step != "" {
		return true, r.writeSecret(ctx, d, secret)
	}
	var errs []error
	for _, c := range configurations {
		if !slices.ContainsFunc(c.Bundles, func(b []byte) bool { return !bytes.Equal(b, d.Bundle) }) {
			continue
		}
		err := r.writes.Wait(ctx)
		if err == nil {
			err = c.Write(ctx, d.Bundle)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r.log.Info("CA bundle written", "into", c.Name, "cas", len(d.Secret.CAs))
		wrote = true
	}
	return wrote, errors.Join(errs...)
}

func (r *Reconciler) writeSecret(ctx context.Context, d Decision, secret Secret) error {
	if err := r.writes.Wait(ctx); err != nil {
		return err
	}
	if err := secret.Write(ctx, d.Secret.write(secret.Data)); err != nil {
		return err
	}
	attributes := []any{"step", string(d.Step), "cas", len(d.Secret.CAs)}
	if d.Reason != "" {
		attributes = append(attributes, "reason", d.Reason)
	}
	if p := d.Secret.Serving; p != nil {
		attributes = append(attributes, "serving_until", p.NotAfter())
	}
	if p := d.Secret.Next; p != nil {
		attributes = append(attributes, "next_until", p.NotAfter())
	}
	r.log.Info("certificate stored", attributes...)
	return nil
}

// publish gives the listener what the replica serves.
func (r *Reconciler) publish() {
	now, before := r.replica, r.current.Load()
	if now.Serving == nil || before != nil && bytes.Equal(before.pair.cert, now.Serving.cert) && before.pair.end.Equal(now.Serving.end) &&
		before.verified == now.Verified {
		return
	}
	r.current.Store(&served{now.Serving, now.Verified})
	r.log.Info("serving certificate", "serial", fmt.Sprintf("%x", now.Serving.leaf().SerialNumber), "until", now.Serving.NotAfter(),
		"renewal", now.Serving.Renewal(), "verified", now.Verified)
}

// await logs once until when the replica waits for a CA to settle before it can be ready; the zero time: it does not. A
// problem comes before that in what NotReady says.
func (r *Reconciler) await(until time.Time) {
	waits := ""
	if !until.IsZero() {
		waits = "until " + until.UTC().Format("15:04:05 MST") + " amp waits until every API server knows its new CA: " +
			"the webhooks had another CA, for example that of an earlier installation"
	}
	if waits != "" && r.reported == "" {
		r.why.Store(&waits)
	}
	if waits != r.awaited && waits != "" {
		r.log.Warn("not ready yet", "reason", waits)
	}
	r.awaited = waits
}

// report logs a problem with keeping the certificate, or that there is none any more, once each.
func (r *Reconciler) report(problem string) {
	why := "the webhooks do not have the CA of its certificate yet"
	if problem != "" {
		why = "amp cannot keep its certificate up to date: " + problem
	}
	r.why.Store(&why)
	if problem == r.reported {
		return
	}
	r.reported = problem
	if problem == "" {
		r.log.Info("the certificate is kept up to date again")
		return
	}
	r.log.Error("cannot keep the certificate up to date; retrying", "ready", r.Ready(), "error", problem)
}
