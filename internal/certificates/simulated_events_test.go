package certificates

import (
	"crypto/x509"
	"maps"
	"slices"
	"time"
)

// event is something that happens to a cluster.
type event struct {
	weight int // how often, relative to the others
	do     func(w *world, r *process)
}

var events = []event{
	{3, restart},
	{1, cutOff},
	{2, deleteSecret},
	{1, overwriteSecret},
	{1, overwriteKey},
	{2, overwriteBundles},
	{1, restartAll},
	{1, replacePair},
	{1, wait},
}

// disturb lets one event happen, to one of the replicas where it is an event of a replica.
func (w *world) disturb() {
	r := w.replicas[w.number(len(w.replicas))]
	var all []event
	for _, e := range events {
		all = append(all, slices.Repeat([]event{e}, e.weight)...)
	}
	all[w.number(len(all))].do(w, r)
}

func restart(w *world, r *process) {
	if r.reconciler != nil {
		w.crash(r)
		time.Sleep(w.upTo(time.Minute))
	}
	w.start(r)
}

func restartAll(w *world, _ *process) {
	w.note("all replicas end, and start one after the other")
	for _, r := range w.replicas {
		if r.reconciler != nil {
			w.crash(r)
		}
	}
	for _, r := range w.replicas {
		time.Sleep(w.upTo(2 * time.Second))
		w.start(r)
	}
}

func cutOff(w *world, r *process) {
	w.note("%s is cut off", r.name)
	r.cutOff.Store(true)
	time.AfterFunc(w.upTo(2*simulatedLifetime), func() { r.cutOff.Store(false); w.note("%s is no longer cut off", r.name) })
}

func wait(w *world, _ *process) { time.Sleep(w.upTo(simulatedLifetime)) }

func deleteSecret(w *world, _ *process) {
	w.note("the Secret is deleted")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.storeSecret(nil)
}

func overwriteSecret(w *world, _ *process) {
	w.note("the Secret is overwritten")
	w.overwrite(keyCert, keyKey, keyCAs, keyNextCert, keyNextKey)
}

func overwriteKey(w *world, _ *process) {
	key := []string{keyCert, keyKey, keyCAs, keyNextCert, keyNextKey}[w.number(5)]
	w.note("%s is overwritten", key)
	w.overwrite(key)
}

// overwrite writes garbage into these keys of the Secret.
func (w *world) overwrite(keys ...string) {
	garbage := w.garbage()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secret == nil {
		return
	}
	data := maps.Clone(w.secret.data)
	for _, key := range keys {
		data[key] = garbage
	}
	w.storeSecret(data)
}

func (w *world) garbage() []byte {
	return [][]byte{nil, []byte("garbage"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}[w.number(3)]
}

func overwriteBundles(w *world, _ *process) {
	garbage := w.garbage()
	for name, c := range w.configs {
		if w.chance(2) {
			w.note("a bundle of the %s configuration is overwritten", name)
			webhook := w.number(webhooksEach)
			w.mu.Lock()
			bundles := slices.Clone(c.bundles)
			bundles[webhook] = garbage
			w.storeBundles(name, bundles, true)
			w.mu.Unlock()
		}
	}
}

// replacePair puts a pair of another authority into the Secret. Its CA ends with it, or before. A CA that ends after it
// leaves with the second renewal, and a replica that is cut off for so long does not learn of that.
func replacePair(w *world, _ *process) {
	for _, r := range w.replicas {
		if r.reconciler == nil || r.cutOff.Load() || !r.reconciler.Ready() {
			return // a replica that is not ready takes the pair for amp's, and does not know which CA has to stay
		}
	}
	w.note("another program writes a pair of another authority into the Secret")
	now := time.Now()
	other := issued(w.t, now.Add(-simulatedLifetime/10), now.Add(simulatedLifetime), now.Add(time.Duration(1+w.number(2))*simulatedLifetime))
	w.mu.Lock()
	w.storeSecret(Stored{Serving: other, CAs: []*x509.Certificate{other.CA}}.write(nil))
	w.mu.Unlock()
	for range 120 {
		w.pass()
	}
}
