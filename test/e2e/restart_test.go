package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/txn2/amp/test/e2e/harness"
)

func changed(c harness.Created) error {
	if c.Labels["changed"] != "yes" {
		return fmt.Errorf("labels are %v", c.Labels)
	}
	return nil
}

// none fails the test if any of a stream's calls failed.
func none(t *testing.T, s *harness.Stream) {
	t.Helper()
	done, failed := s.Stop()
	t.Logf("%d in the stream", done)
	for i, err := range failed {
		if i == 5 {
			t.Errorf("and %d more", len(failed)-i)
			break
		}
		t.Error(err)
	}
}

func TestRollingRestart(t *testing.T) {
	w := world(t)
	endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
	strict, lenient := w.Namespace(t, harness.Enabled(endpoint.URL)), w.Namespace(t, harness.Enabled(endpoint.URL, harness.Ignore))
	start := func() *harness.Replica {
		r, err := w.StartReplica()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := start(), start()
	if err := w.StopAllBut(a, b); err != nil {
		t.Fatal(err)
	}

	// Also under Ignore, where a lost review shows only as a Pod that is not mutated.
	streams := []*harness.Stream{strict.Stream(changed), lenient.Stream(changed)}
	beyond := func() {
		for _, s := range streams {
			if err := s.Beyond(25); err != nil {
				t.Fatal(err)
			}
		}
	}
	beyond()
	for _, old := range []*harness.Replica{a, b} {
		start() // as in deploy/: never fewer than two
		if err := old.Stop(); err != nil {
			t.Errorf("amp did not end as it should on SIGTERM: %v", err)
		}
		beyond()
	}
	for _, s := range streams {
		none(t, s)
	}
}

// mutated sends amp a review of a Pod in the namespace, as the API server would, and expects a patch.
func mutated(client *http.Client, address, namespace string) error {
	resp, err := client.Post("https://"+address+"/mutate/fail", "application/json", strings.NewReader(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{
		"uid":"2f0cfa42-0000-4000-8000-000000000001","operation":"CREATE","namespace":"`+namespace+`",
		"resource":{"group":"","version":"v1","resource":"pods"},
		"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"app","image":"a"}]}}}}`))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Contains(body, []byte(`"patch":`)) {
		err = fmt.Errorf("HTTP %d: %s", resp.StatusCode, body)
	}
	return err
}

func TestCertificateReplacedUnderLoad(t *testing.T) {
	w := anyWorld(t)
	w.WithFiles(t)
	endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
	ns := w.Namespace(t, harness.Enabled(endpoint.URL))

	// The API server keeps its connection and so hardly notices. A second caller makes a new connection each time.
	creates := ns.Stream(changed)
	client := w.Client(t)
	calls := harness.NewStream(func(int) error { return mutated(client, w.Front.Address, ns.Name) })

	for range 5 {
		pair, err := w.RenewCertificate()
		if err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, "the new certificate is served", func(context.Context) error {
			if serial := servedBy(client, w.Front.Address); serial == nil || serial.Cmp(pair.Serial) != 0 {
				return fmt.Errorf("served is %v, not %v", serial, pair.Serial)
			}
			return nil
		})
		if err := calls.Beyond(10); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("half a pair is not served", func(t *testing.T) {
		before := servedBy(client, w.Front.Address)
		restore, err := w.BreakCertificate()
		if err != nil {
			t.Fatal(err)
		}
		if err := calls.Beyond(100); err != nil { // two seconds in which amp reads the files
			t.Error(err)
		}
		if serial := servedBy(client, w.Front.Address); serial == nil || serial.Cmp(before) != 0 {
			t.Errorf("served is %v, not %v as before", serial, before)
		}
		if err := restore(); err != nil {
			t.Fatal(err)
		}
	})
	none(t, calls)
	none(t, creates)
}

// servedBy is the serial number of the certificate that a new connection gets.
func servedBy(client *http.Client, address string) *big.Int {
	conn, err := tls.Dial("tcp", address, client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber
}

func TestAPIServerRestarts(t *testing.T) {
	w := world(t)
	before, after := harness.Serve(t, harness.Labels("by", "before")), harness.Serve(t, harness.Labels("by", "after"))
	ns := w.Namespace(t, harness.Enabled(before.URL))
	ns.MustCreate(harness.Pod("first"))

	probing := w.Client(t)
	ready := harness.NewStream(func(int) error {
		resp, err := probing.Get("https://" + w.Front.Address + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("/readyz says %d while the API server is away", resp.StatusCode)
			}
		}
		return err
	})
	if err := w.API.Restart(); err != nil {
		t.Fatal(err)
	}
	none(t, ready)

	if pod := ns.MustCreate(harness.Pod("second")); pod.Labels["by"] != "before" {
		t.Errorf("the first Pod after the restart has labels %v", pod.Labels)
	}
	if pod := w.Namespace(t, harness.Enabled(after.URL)).MustCreate(harness.Pod("web")); pod.Labels["by"] != "after" {
		t.Errorf("in a new namespace labels are %v", pod.Labels)
	}
	ns.Annotate("amp.txn2.com/ep", after.URL)
	untilMutatedBy(t, ns, "after")
}
