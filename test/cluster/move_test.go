package cluster

import (
	"path/filepath"
	"testing"
)

// moves installs amp, moves it to another namespace as deploy/README.md says, while Pods are created, and removes it. With
// certificates of three minutes, the new installation waits ten seconds until it serves its own, and not a minute.
func (c *cluster) moves(t *testing.T, readme *written) {
	readme.set(t, "deploy/base/deployment.yaml", "        env:\n", "        env:\n        - {name: AMP_TLS_LIFETIME, value: 3m}\n")
	defer readme.set(t, "deploy/base/deployment.yaml", "        - {name: AMP_TLS_LIFETIME, value: 3m}\n", "")
	readme.do(t, "kubectl apply -k deploy", "kubectl -n amp-system rollout status deployment/amp")
	c.untilReached(t)
	c.kubectl(t, "delete", "pod", "--namespace", "creators", "--ignore-not-found", "creator", "--timeout=60s")
	s := c.startStream(t)
	s.beyond(t, 20)
	readme.overlay(t, "elsewhere", "resources: [../deploy]\nnamespace: elsewhere\n")
	readme.do(t, "kubectl create clusterrolebinding amp-moves --clusterrole=amp --serviceaccount=amp-system:amp",
		"kubectl apply -k elsewhere --selector app.kubernetes.io/component!=webhooks",
		"kubectl -n elsewhere rollout status deployment/amp",
		"kubectl apply -k elsewhere",
		"kubectl -n amp-system delete deployment amp --cascade=foreground",
		"kubectl delete namespace amp-system",
		"kubectl delete clusterrolebinding amp-moves")
	s.beyond(t, 40)
	s.unharmed(t)
	s.ask(t, "stop")
	c.kubectl(t, "delete", "mutatingwebhookconfigurations,validatingwebhookconfigurations", "amp")
	c.kubectl(t, "delete", "--ignore-not-found", "-k", filepath.Join(readme.dir, "elsewhere"), "--wait=false") // nothing uses the namespace again
}
