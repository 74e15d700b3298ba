package doctor

import (
	"context"
	"net"
	"strings"
	"sync"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
)

// circuits are the open circuits of the ready replicas: for each label host of the metric, the Pods that say so.
type circuits struct {
	open  map[string][]string
	asked int // Pods whose metrics were read
}

// circuitMetric is 1 while a replica does not call an endpoint, because that does not answer.
const circuitMetric = "amp_endpoint_circuit_open"

// maxMetrics is how much of a Pod's metrics is read: more than amp writes.
const maxMetrics = 4 << 20

// circuits reads the metrics of ready Pods. It says nothing of a Pod whose metrics cannot be read: this is a hint, and a
// dry run shows what an open circuit does.
func (c *cluster) circuits(ctx context.Context, pods []corev1.Pod, address string) circuits {
	found := circuits{open: map[string][]string{}}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return found // amp serves no metrics
	}
	var ready []*corev1.Pod
	for i := range pods {
		if p := &pods[i]; isReady(p) && len(ready) < maxStates {
			ready = append(ready, p)
		}
	}
	var mu sync.Mutex
	each(ready, func(_ int, p *corev1.Pod) {
		text, err := c.askPod(ctx, p, "http", port, "/metrics", maxMetrics)
		if err != nil {
			return
		}
		hosts, ok := openCircuits(text)
		if !ok {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		found.asked++
		for _, host := range hosts {
			found.open[host] = append(found.open[host], p.Name)
		}
	})
	return found
}

// openCircuits are the hosts whose circuits are open by these metrics. It reports false if the text is not metrics of amp.
func openCircuits(text string) (hosts []string, ok bool) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || families["amp_build_info"] == nil {
		return nil, false
	}
	for _, metric := range families[circuitMetric].GetMetric() {
		for _, label := range metric.GetLabel() {
			if label.GetName() == "host" && metric.GetGauge().GetValue() > 0 {
				hosts = append(hosts, label.GetValue())
			}
		}
	}
	return hosts, true
}
