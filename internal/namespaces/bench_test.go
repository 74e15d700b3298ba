package namespaces_test

import (
	"testing"

	"github.com/txn2/amp/internal/namespaces"
)

// BenchmarkParse is what a change of a Namespace costs. A review only looks the policy up.
func BenchmarkParse(b *testing.B) {
	labels := map[string]string{namespaces.LabelEnabled: "true", "kubernetes.io/metadata.name": "jhub", "team": "data"}
	annotations := map[string]string{namespaces.AnnotationEndpoint: "https://policy.tools.svc/mutate,http://images.tools.svc:8080/pin"}
	b.ReportAllocs()
	for b.Loop() {
		namespaces.Parse("jhub", labels, annotations)
	}
}
