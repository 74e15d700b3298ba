package doctor

import (
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/txn2/amp/internal/serve"
)

func TestAccess(t *testing.T) {
	config := defaults()
	files := needed("amp-system", config)
	if len(files) != 4 || files[0].Resource != "namespaces" || files[0].Namespace != "" {
		t.Errorf("without a certificate of its own amp needs %v", files)
	}
	config.TLS, config.TLSSecret, config.Webhooks = serve.TLSSelf, "other", []string{"one", "two"}
	var secrets, hooks int
	for _, a := range needed("amp-system", config) {
		switch {
		case a.Resource == "secrets" && a.Namespace == "amp-system" && (a.Name == "other" || a.Name == "" && a.Verb == "create"):
			secrets++
		case a.Group == "admissionregistration.k8s.io" && a.Namespace == "" && (a.Name == "one" || a.Name == "two"):
			hooks++
		case a.Resource != "namespaces" && a.Resource != "endpointslices":
			t.Errorf("needed: %+v", a)
		}
	}
	if secrets < 2 || hooks < 8 || hooks%4 != 0 {
		t.Errorf("needed are %d verbs on Secrets and %d on webhooks", secrets, hooks)
	}

	s := &observed{deployments: seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, fix: remedies{tls: serve.TLSFiles}, wanted: settings{config: defaults()}}
	s.deployments.value[0].Spec.Template.Spec.ServiceAccountName = "amp"
	for _, right := range files {
		s.access = append(s.access, access{ResourceAttributes: right})
	}
	if c := checkAccess(s)[0]; c.Status != Failed || c.Message != "ServiceAccount amp may not get, list, watch namespaces; get endpointslices kubernetes" {
		t.Errorf("%s: %s", c.Status, c.Message)
	}
	for i := range s.access {
		s.access[i].allowed = true
	}
	if c := checkAccess(s)[0]; c.Status != OK {
		t.Errorf("%s: %s", c.Status, c.Message)
	}
	s.access[1].err = errors.New("no")
	if c := checkAccess(s)[0]; c.Status != Skipped || c.Message != "not checked: no" {
		t.Errorf("%s: %s", c.Status, c.Message)
	}
}
