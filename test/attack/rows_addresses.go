package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// never are addresses and names that no range, glob or default opens.
var never = []string{
	"169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "100.96.0.96", "100.80.80.80",
	"[fd00:ec2::254]", "[fd00:ec2::23]", "[fd00:42::42]", "[fd20:ce::254]",
	"[64:ff9b:1::a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a83f:8110]", "[2002:a9fe:a9fe::1]", "[::ffff:169.254.169.254]",
	metadataName,
}

func addressesByDefault(r *run) {
	r.addresses("", append([]string{"127.0.0.1", "[::1]", "0.0.0.0", "[::]", "8.8.8.8", "203.0.113.7", "[2001:db8::1]", publicName, "localhost"}, never...),
		[]string{ownPrivate, "[" + ownPrivate6 + "]", sharedPrivate})
}

func addressesByGlob(r *run) {
	r.addresses("*", append([]string{"127.0.0.1", "[::1]", "0.0.0.0", "[::]", "localhost"}, never...), []string{ownPrivate, "203.0.113.7", publicName})
}

func addressesByRange(r *run) {
	r.addresses("168.63.0.0/16 192.0.0.0/24 100.64.0.0/10 fd00::/8 64:ff9b::/96 64:ff9b:1::/48 2002::/16 "+metadataName,
		never, []string{sharedPrivate, "[" + ownPrivate6 + "]"})
}

// addresses asks amp to call each of them. A server listens at all of them.
func (r *run) addresses(allow string, closed, open []string) {
	listener, err := net.Listen("tcp", "[::]:0")
	r.must(err)
	port := listener.Addr().(*net.TCPAddr).Port
	var connects atomic.Int64
	server := &http.Server{Handler: answers(label), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connects.Add(1)
		}
	}}
	go func() { _ = server.Serve(listener) }() // it ends with the row
	r.atEnd(func() { _ = server.Close() })
	t := tenants{}
	name := func(i int, host string) string {
		n := fmt.Sprintf("at-%d-%d", i, len(host))
		t[n] = map[string]string{"amp.txn2.com/ep": fmt.Sprintf("http://user:password@%s:%d/", host, port)}
		return n
	}
	var closedNames, openNames []string
	for i, host := range closed {
		closedNames = append(closedNames, name(i, host))
	}
	for i, host := range open {
		openNames = append(openNames, name(100+i, host))
	}
	p := r.startAmp(t, "AMP_ENDPOINT_ALLOW="+allow)
	for i, namespace := range closedNames {
		if message := r.failedBy(p, namespace, smallPod); connects.Load() > 0 || !strings.Contains(message, "amp may not call") || strings.Contains(message, "password") {
			r.fail("%s: %d connects; %s", closed[i], connects.Load(), message)
		}
	}
	r.saw("%d addresses: no connect", len(closed))
	for i, namespace := range openNames {
		before := connects.Load()
		if a := r.review(p, fail, namespace, smallPod); !a.Allowed || connects.Load() == before {
			r.fail("%s, which it may call: %s", open[i], a.message())
		}
	}
	r.saw("%d that are open: called", len(open))
	r.lives(p)
}

// apiServers gives amp a cluster whose API servers have three addresses, of which amp uses one. A stand-in answers the
// requests that amp makes: amp is what is attacked, and the API server only has to be there.
func apiServers(r *run) {
	called := r.serveAt(otherPrivate+":6443", answers(label))
	control := r.serveAt(otherPrivate+":6444", answers(label))
	t := tenants{
		"api":     {"amp.txn2.com/ep": "https://user:password@" + otherPrivate + ":6443/"},
		"plain":   {"amp.txn2.com/ep": "http://user:password@" + otherPrivate + ":6443/"},
		"mapped":  {"amp.txn2.com/ep": "http://[::ffff:" + otherPrivate + "]:6443/"},
		"control": {"amp.txn2.com/ep": control.url},
	}
	var read atomic.Int64
	cluster := r.serve(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		name, one := strings.CutPrefix(req.URL.Path, "/api/v1/namespaces/")
		var body any
		switch {
		case strings.HasSuffix(req.URL.Path, "/endpointslices/kubernetes"):
			port := 6443
			body = map[string]any{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": map[string]any{"name": "kubernetes", "namespace": "default"},
				"addressType": "IPv4", "endpoints": []any{map[string]any{"addresses": []string{ownPrivate}}, map[string]any{"addresses": []string{otherPrivate}}},
				"ports": []any{map[string]any{"name": "https", "port": port, "protocol": "TCP"}}}
			defer read.Add(1)
		case req.URL.Query().Get("watch") != "":
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-req.Context().Done()
			return
		case one:
			body = partial(t.object(name))
		default:
			var items []any
			for name := range t {
				items = append(items, partial(t.object(name)))
			}
			body = map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": map[string]any{"resourceVersion": "1"}, "items": items}
		}
		_ = json.NewEncoder(w).Encode(body) // amp may have gone
	})
	kubeconfig := filepath.Join(r.dir, "kubeconfig")
	r.must(os.WriteFile(kubeconfig, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],`+
		`"clusters":[{"name":"c","cluster":{"server":"`+cluster.url+`"}}],"users":[{"name":"u","user":{}}]}`), 0o600))
	p := r.startAmp(t, "AMP_NAMESPACES_FILE=", "KUBECONFIG="+kubeconfig, "AMP_ENDPOINT_ALLOW=")
	r.eventually(10*time.Second, func() string {
		if read.Load() == 0 {
			return "amp has not read where the API servers are"
		}
		return ""
	})
	time.Sleep(200 * time.Millisecond) // until amp has understood the answer
	for _, namespace := range []string{"api", "plain", "mapped"} {
		if message := r.failedBy(p, namespace, smallPod); called.connects.Load() > 0 || !strings.Contains(message, "the API server") {
			r.fail("%d connects; %s", called.connects.Load(), message)
		}
	}
	if a := r.review(p, fail, "control", smallPod); !a.Allowed {
		r.fail("another port of that address: %s", a.message())
	}
	r.saw("no connect; another port of the same address is called")
	r.lives(p)
}

// partial is the metadata of an object, as the API server answers to a client that wants no more.
func partial(object map[string]any) map[string]any {
	metadata := object["metadata"].(map[string]any)
	metadata["resourceVersion"] = "1"
	return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}
}

func badGlobs(r *run) {
	r.badValues("AMP_ENDPOINT_ALLOW", "10.*", "0x7f000001", "a..b", "0177.0.0.1", "127.1", "*.*", ".", "10.*:443", "0x7f.*")
}

func badDenyLists(r *run) {
	r.badValues("AMP_PATCH_DENY", ",", " , ", "/spec/hostNetwrok", "spec/hostNetwork", "/", "/spec/containers/x/image", "none,/spec/hostPID")
}

func badLists(r *run) {
	r.badValues("AMP_ENDPOINT_ALLOW", ",", " ,")
	r.badValues("AMP_TLS_DNS_NAMES", ",")
	r.badValues("AMP_WEBHOOKS", ",")
}

// badValues starts amp with each value. amp must say which variable is wrong, and end.
func (r *run) badValues(variable string, values ...string) {
	for _, value := range values {
		if said := r.refusesToStart(variable + "=" + value); !strings.Contains(said, variable) {
			r.fail("%s=%q: amp says %s", variable, value, said)
		}
	}
	r.saw("%d values of %s: amp names the variable and does not start", len(values), variable)
}
