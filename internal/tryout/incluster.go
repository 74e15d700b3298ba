package tryout

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// NotAsked returns why an API server would not ask amp about the Pod, as deploy/base has the webhooks; empty: it would.
func (q *Question) NotAsked() string {
	var pod struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	switch err := json.Unmarshal(q.Pod, &pod); {
	case q.Namespace == "kube-system":
		return "amp's webhooks leave out the namespace kube-system"
	case err == nil && pod.Metadata.Labels[namespaces.LabelEnabled] == "false":
		return "the Pod has the label " + namespaces.LabelEnabled + ": \"false\""
	case q.Labels != nil && q.Labels[namespaces.LabelEnabled] != "true":
		return "the namespace " + q.Namespace + " has not opted in by the label " + namespaces.LabelEnabled + ": \"true\""
	case q.Labels != nil && q.Phase == review.Validate && q.Labels[namespaces.LabelValidate] != "true":
		return "validation is only for a namespace with the label " + namespaces.LabelValidate + ": \"true\", which " + q.Namespace + " has not"
	}
	return ""
}

// NotInCluster returns why amp in a cluster would not call one of the endpoints by default, empty if it would.
func NotInCluster(ctx context.Context, endpoints []string) string {
	check, err := callout.Allowed(nil, nil)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	for _, e := range endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Hostname() == "" {
			continue
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
		if err != nil {
			continue
		}
		if i := slices.IndexFunc(ips, func(ip netip.Addr) bool { return check(u.Hostname(), netip.AddrPortFrom(ip, outbound.Port(u))) != nil }); i >= 0 {
			what := "a public address"
			if ips[i].Unmap().IsLoopback() {
				what = "loopback"
			}
			return fmt.Sprintf("%s is %s: amp in a cluster does not call it, unless AMP_ENDPOINT_ALLOW lists it", ips[i].Unmap(), what)
		}
	}
	return ""
}
