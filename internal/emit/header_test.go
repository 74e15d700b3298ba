package emit

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/endpoints/events"
)

func TestTraceParent(t *testing.T) {
	for text, want := range map[string]bool{
		traceParent: true,
		"":          false,
		"00-1":      false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g":      false,
		"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      false,
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":      false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01":      false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01":      false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more": false,
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more": true,
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more": false,
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-\r\n": false,
	} {
		if got := validTraceParent(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// TestBinaryMode reads an event back as a receiver does who follows the HTTP binding.
func TestBinaryMode(t *testing.T) {
	rec := aMutation(t)
	rec.Plan.Event, rec.Review.Namespace = `50% "Ünïcode"`+"\n€", "a b"
	e, err := newEvent(rec, aSource, map[string]string{"team": "größe 1", "outcome": "overridden"})
	if err != nil {
		t.Fatal(err)
	}
	checkEvent(t, e)
	header := binaryHeader(&e)
	want := http.Header{
		"Content-Type":   {"application/json"},
		"Ce-Specversion": {"1.0"},
		"Ce-Id":          {"50%25%20%22%C3%9Cn%C3%AFcode%22%0A%E2%82%AC"},
		"Ce-Source":      {"https://amp.example/cluster-a"},
		"Ce-Type":        {events.Mutated},
		"Ce-Subject":     {"a%20b/jupyter-*"},
		"Ce-Time":        {"2026-11-23T09:00:00.123456789Z"},
		"Ce-Dataschema":  {events.SchemaURL},
		"Ce-Namespace":   {"a%20b"},
		"Ce-Outcome":     {"overridden"},
		"Ce-Team":        {"gr%C3%B6%C3%9Fe%201"},
		"Ce-Traceparent": {traceParent},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}

	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(e.Data())))
	for key, values := range header {
		if key != http.CanonicalHeaderKey(key) {
			t.Errorf("%q is not canonical", key)
		}
		decoded, err := url.PathUnescape(values[0])
		if err != nil {
			t.Error(err)
		}
		req.Header.Set(key, decoded) // sdk-go leaves the decoding to the caller
	}
	got, err := cehttp.NewEventFromHTTPRequest(req)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != e.String() {
		t.Errorf("arrived as\n%s\nwas\n%s", got, e)
	}
}
