package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/txn2/amp/internal/replay"
	"github.com/txn2/amp/internal/workload"
)

// BenchmarkReplay replays 10,000 recorded events, Pods of 5 KB with a patch of 12 ops, against an endpoint on this machine that
// wants another value of one in sixteen.
func BenchmarkReplay(b *testing.B) {
	const events, size, ops = 10_000, 5_000, 12
	patch, pod := workload.Patch(ops), workload.Pod(size)
	var all []map[string]any
	if err := json.Unmarshal(patch, &all); err != nil {
		b.Fatal(err)
	}
	for _, op := range all {
		op["step"] = 1
	}
	recorded, err := json.Marshal(all)
	if err != nil {
		b.Fatal(err)
	}
	var file bytes.Buffer
	for i := range events {
		fmt.Fprintf(&file, `{"specversion":"1.0","id":"%d","source":"s","type":"com.txn2.amp.pod.mutated.v1","data":{"uid":"%d","level":"Full","namespace":"n",`+
			`"pod":{"generateName":"app-7d4b9c6f5d-"},"user":"system:serviceaccount:kube-system:replicaset-controller","operation":"mutate","outcome":"mutated",`+
			`"failurePolicy":"Fail","endpoints":[{"url":"http://hook","status":200,"durationMs":1,"ops":12}],"durationMs":2,"patch":%s,"object":%s}}`+"\n", i, i, recorded, pod)
	}
	other := bytes.Replace(patch, []byte("blue"), []byte("red"), 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.Header.Get("Ce-Dryrun") != "true" || n == 0 {
			b.Error("it is not a dry run of a Pod")
		}
		if id := r.Header.Get("Ce-Id"); id[0] == '0' { // one of sixteen
			_, _ = w.Write(other)
			return
		}
		_, _ = w.Write(patch)
	}))
	b.Cleanup(server.Close)
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		report, err := ask(b, replay.NewReader(bytes.NewReader(file.Bytes())), nil, server.URL)
		if err != nil || report.Replayed != events || report.Pods[replay.Differs] == 0 {
			b.Fatal(err, report)
		}
	}
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "Pods/s")
}
