package rules

import (
	"fmt"
	"strconv"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

var hostPortPlaces = []jsontree.Pointer{{"spec", "hostNetwork"}, {"spec", "containers", "*", "ports"}}

// hostPorts refuses a patch that makes a hostPort differ from its containerPort, in a Pod that uses the network of
// the host. Before webhooks the API server sets an absent hostPort (pkg/apis/core/v1
// defaultHostNetworkPorts), and it compares them after webhooks (pkg/apis/core/validation
// validatePodHostNetworkDeps).
func hostPorts(c *apply.Change, _ *Settings) []Finding {
	return introduced(c, hostPortPlaces, func(pod *jsontree.Node, _ bool) (found []flaw) {
		spec := pod.Get("spec")
		if spec.Get("hostNetwork").Kind() != jsontree.True {
			return nil
		}
		containers := spec.Get("containers")
		for _, container := range containers.List() {
			ports := container.Get("ports")
			for i, port := range ports.List() {
				own, host := port.Get("containerPort"), port.Get("hostPort")
				if host.IsNull() || jsontree.Same(own, host) || string(host.AppendJSON(nil)) == "0" {
					continue
				}
				owner := container.Get("name").Text()
				found = append(found, flaw{
					[2]string{owner, strconv.Itoa(i)}, latest(containers, container, ports, port, own, host), jsontree.Pointer{"spec"},
					func() string {
						return fmt.Sprintf("port %d of container %s would have a hostPort other than its containerPort, and the Pod uses the network of the host: set both, or remove hostPort, which the API server then sets",
							i, apply.Quote(owner))
					},
				})
			}
		}
		return found
	})
}
