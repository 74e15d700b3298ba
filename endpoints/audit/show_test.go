package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

// notebook is a mutated event at level Full, as JupyterHub's Pods have them.
func notebook(t testing.TB, id string, at float64) ev {
	t.Helper()
	pod, err := os.ReadFile("testdata/jupyterhub-user.pod.json")
	if err != nil {
		t.Fatal(err)
	}
	return ev{id: id, at: at, data: events.Data{
		Level: events.LevelFull, Namespace: "jhub", Pod: events.Pod{Name: "jupyter-alice"}, User: "system:serviceaccount:jhub:hub", DurationMS: 14.25,
		Endpoints: []events.Endpoint{
			{URL: "http://profiles.jhub.svc/mutate", Status: 200, DurationMS: 9.5, Ops: 4},
			{URL: "http://volumes.storage.svc:8080/jupyterhub", Status: 200, DurationMS: 3.25, Ops: 4, Warnings: []string{"home-alice is nearly full"}},
		},
		Object: pod,
		Patch: []events.Op{
			{Step: 1, Op: "add", Path: "/spec/containers/0/env/-", Value: json.RawMessage(`{"name":"PROJECT","value":"genome"}`)},
			{Step: 1, Op: "add", Path: "/metadata/labels/team", Value: json.RawMessage(`"science"`)},
			{Step: 1, Op: "add", Path: "/spec/tolerations", Value: json.RawMessage(`[{"key":"gpu","operator":"Exists","effect":"NoSchedule"}]`)},
			{Step: 1, Op: "replace", Path: "/spec/containers/0/image", Value: json.RawMessage(`"quay.io/jupyter/scipy-notebook:2026-02-16"`)},
			{Step: 2, Op: "add", Path: "/spec/volumes", Value: json.RawMessage(`[]`)},
			{Step: 2, Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"home","persistentVolumeClaim":{"claimName":"home-alice"}}`)},
			{Step: 2, Op: "add", Path: "/spec/containers/0/volumeMounts", Value: json.RawMessage(`[]`)},
			{Step: 2, Op: "add", Path: "/spec/containers/0/volumeMounts/-", Value: json.RawMessage(`{"name":"home","mountPath":"/home/jovyan"}`)},
			{Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: json.RawMessage(`"` + id + `"`)},
		},
	}}
}

// denied is the event of a Pod that the second of two validation endpoints denied.
func denied(id string, at float64) ev {
	return ev{id: id, at: at, typ: events.Denied, data: events.Data{
		Namespace: "web", Pod: events.Pod{GenerateName: "nightly-import-"}, User: "system:serviceaccount:kube-system:job-controller", Operation: "validate", DurationMS: 5.5,
		Message: "the image docker.example.com/import:latest has no digest: name one, as in import@sha256:…",
		Endpoints: []events.Endpoint{{URL: "http://labels.batch.svc/validate", Status: 200, DurationMS: 1.5},
			{URL: "http://images.platform.svc/require", Status: 200, DurationMS: 3.25}},
	}}
}

// worker is the mutated event of a Deployment's Pod, and seenWorker the validated one with its name.
func worker(id string, at float64) ev {
	return ev{id: id, at: at, data: events.Data{
		Namespace: "web", Pod: events.Pod{GenerateName: "web-6d4cf56db6-"}, User: "system:serviceaccount:kube-system:replicaset-controller", DurationMS: 4.1,
		Owner:     &events.Controller{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-6d4cf56db6", UID: "u"},
		Endpoints: []events.Endpoint{{URL: "http://sidecar.web.svc/mutate", Status: 200, DurationMS: 3.4, Ops: 1}},
		Patch: []events.Op{{Step: 1, Op: "add", Path: "/spec/initContainers", Value: json.RawMessage(`[{"name":"fetch","image":"busybox:1.37","args":["[redacted]"]}]`)},
			{Op: "add", Path: "/metadata/annotations", Value: json.RawMessage(`{}`)},
			{Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: json.RawMessage(`"[redacted]"`)}},
	}}
}

func seenWorker(id, mutation, name string, at float64) ev {
	return ev{id: id, at: at, typ: events.Validated, data: events.Data{
		Namespace: "web", Pod: events.Pod{Name: name, GenerateName: "web-6d4cf56db6-", UID: "5b1c1f0e-8f4c-4f0e-9d5a-2d0c5f6f7a10"}, User: "system:serviceaccount:kube-system:replicaset-controller",
		DurationMS: 1.2, Mutation: mutation, Endpoints: []events.Endpoint{},
	}}
}

// TestThePageFits looks for what sticks out, on a phone, and takes the pictures that people look at.
func TestThePageFits(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	s := newServerAt(t, Config{}, func() time.Time { return now })
	fillForShow(t, s, now)
	base := serve(t, s)
	for _, v := range []struct {
		name          string
		width, height int
		schemes       []string
	}{{"desktop", 1280, 900, []string{"light", "dark"}}, {"phone", 360, 740, []string{"light"}}, {"small", 320, 640, []string{"dark"}}} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t, v.width, v.height)
			// look checks that nothing sticks out, and takes a picture, in each scheme.
			look := func(what string) {
				t.Helper()
				for _, scheme := range v.schemes {
					b.scheme(scheme)
					if w := b.eval(`document.documentElement.scrollWidth`); w.(float64) > float64(v.width) {
						t.Errorf("%s, %s: the page is %v wide, the screen %d", what, scheme, w, v.width)
					}
					b.shot(v.name+"-"+scheme+"-"+what, false)
				}
			}
			b.open(base + "/")
			b.wait(`document.querySelectorAll("#rows tr").length >= 40 && document.querySelectorAll("#outcomechart rect.stack").length > 5 && document.querySelector("#state").textContent === "Live"`)
			look("list")
			b.shot(v.name+"-whole", true)
			b.eval(`document.querySelectorAll("details.data").forEach((d) => (d.open = true)); document.querySelector("#filterbox").open = true`)
			look("tables")
			b.open(address(base, "event", "show-notebook", "source", source))
			b.wait(`document.querySelector("#detail").open && document.querySelectorAll(".diff .plus").length > 5`)
			look("detail")
			b.eval(`document.querySelector(".changes").scrollIntoView()`)
			look("changes")
			b.eval(`document.querySelector(".diff").scrollIntoView()`)
			look("diff")
			b.open(address(base, "event", "show-worker", "source", source))
			b.wait(`document.querySelector("#detail").open && document.querySelector("#detail").innerText.includes("Seen by")`)
			look("worker")
			b.open(address(base, "event", "show-denied", "source", source))
			b.wait(`document.querySelector("#detail").open && document.querySelector(".steps .denied")`)
			look("denied")
			b.open(address(base, "outcome", "rejected", "namespace", "web"))
			b.wait(`document.querySelectorAll("#rows tr").length > 0 || document.querySelector("#empty").innerText`)
			look("filtered")
			b.clean()
		})
	}
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t, 1280, 900)
		b.open(serve(t, newServer(t, Config{})) + "/")
		b.wait(`document.querySelector("#empty").innerText.includes("No events yet")`)
		b.shot("empty", false)
		b.clean()
	})
}

// fillForShow stores what a morning in a cluster may look like.
func fillForShow(t testing.TB, s *Server, now time.Time) {
	users := []string{"alice", "bob", "chen", "dana", "emil", "fatima"}
	offset := func(ago time.Duration) float64 { return now.Add(-ago).Sub(start).Seconds() }
	n := 150
	if os.Getenv("AMP_AUDIT_SHOTS") != "" {
		n = 900 // charts that are worth looking at
	}
	var all []ev
	for i := range n {
		ago := time.Duration(i)*24*time.Second + time.Duration(i*7919%5000)*time.Millisecond + 20*time.Second
		if i%97 < 30 && i > 200 { // lulls
			continue
		}
		ms := 2 + float64(i*37%100)/20
		if i%53 == 0 {
			ms *= 9
		}
		id := fmt.Sprintf("%08x-41d6-4c54-9a2e-%012x", i*2654435761%(1<<32), i)
		e := ev{id: id, at: offset(ago)}
		switch {
		case i%23 == 5:
			e.typ = events.Rejected
			e.data = events.Data{Namespace: "web", Pod: events.Pod{GenerateName: "checkout-7f9c8d6b5-"}, User: "system:serviceaccount:kube-system:replicaset-controller",
				Message:   `amp: endpoint http://sidecar.web.svc/mutate: op 3 (remove "/spec/containers/9"): the Pod has 2 containers`,
				Endpoints: []events.Endpoint{{URL: "http://sidecar.web.svc/mutate", Status: 200, DurationMS: ms, Ops: 3, Error: `op 3 (remove "/spec/containers/9"): the Pod has 2 containers`}}}
		case i%29 == 4:
			e = denied(id, offset(ago))
			e.data.Endpoints[1].DurationMS = ms
		case i%31 == 7:
			e.typ = events.FailedOpen
			e.data = events.Data{Namespace: "batch", Pod: events.Pod{Name: fmt.Sprintf("nightly-report-%d", i)}, User: "system:serviceaccount:kube-system:job-controller",
				Message:   "amp: endpoint http://labels.batch.svc/mutate: no answer within 1.2s",
				Endpoints: []events.Endpoint{{URL: "http://labels.batch.svc/mutate", DurationMS: 120, Error: "no answer within 1.2s"}}}
		case i%19 == 3:
			e.typ = events.Shadowed
			e.data = events.Data{Namespace: "staging", Pod: events.Pod{GenerateName: "api-5c6f7d8b9-"}, User: "system:serviceaccount:kube-system:replicaset-controller",
				Patch:     []events.Op{{Step: 1, Op: "add", Path: "/spec/containers/0/resources/limits/memory", Value: json.RawMessage(`"512Mi"`)}},
				Endpoints: []events.Endpoint{{URL: "https://quota.platform.svc/mutate", Status: 200, DurationMS: ms, Ops: 1}}}
		case i%5 == 1:
			e.typ = events.Unchanged
			e.data = events.Data{Namespace: "jhub", Pod: events.Pod{Name: "jupyter-" + users[i%len(users)]}, User: "system:serviceaccount:jhub:hub",
				Endpoints: []events.Endpoint{{URL: "http://profiles.jhub.svc/mutate", Status: 204, DurationMS: ms}}}
		case i%3 == 0:
			e = worker(id, offset(ago))
			e.data.Endpoints[0].DurationMS = ms
			if i%2 == 0 {
				all = append(all, seenWorker("v"+id, id, fmt.Sprintf("web-6d4cf56db6-%s%s", string("bcdfghjklm"[i%10]), "8k2p"), offset(ago)+.04))
			}
		default:
			e = notebook(t, id, offset(ago))
			e.data.Pod.Name = "jupyter-" + users[i%len(users)]
			e.data.Endpoints[0].DurationMS = ms
		}
		all = append(all, e)
	}
	all = append(all, notebook(t, "show-notebook", offset(12*time.Second)), worker("show-worker", offset(9*time.Second)), denied("show-denied", offset(7*time.Second)),
		seenWorker("show-seen", "show-worker", "web-6d4cf56db6-x8k2p", offset(8*time.Second)))
	post(t, s, all...)
}
