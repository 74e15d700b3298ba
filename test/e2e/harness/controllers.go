package harness

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// StartControllers starts a kube-controller-manager that runs only these controllers, and ends it with the test.
//
// Each controller has a client of its own, with a limit of its own. The limit is low: a controller that makes Pods
// without end makes five in a second.
func (w *World) StartControllers(t *testing.T, names ...string) {
	t.Helper()
	admin := w.API.Config()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: admin.CertData, ClientKeyData: admin.KeyData}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "admin"}
	config.CurrentContext = "x"
	path := filepath.Join(w.dir, "kube-controller-manager.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	manager, err := start(w.dir, "kube-controller-manager", w.programs.controllers, nil,
		"--kubeconfig="+path,
		"--controllers="+strings.Join(names, ","),
		"--kube-api-qps=5", "--kube-api-burst=10",
		"--leader-elect=false",
		"--secure-port=0", // it does not listen
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last words of kube-controller-manager:\n%s", manager.lastWords())
		}
		manager.kill() // there is nothing to keep
	})
}
