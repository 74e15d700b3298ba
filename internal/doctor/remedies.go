package doctor

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/serve"
)

// remedies say what to do, in the words of this installation.
type remedies struct {
	namespace  string // amp's own
	deployment string // name
	pods       string // selector of its Pods
	knative    string // name of the Knative Service that runs amp, empty if none does
	down       bool   // no replica is ready
	tls        string // AMP_TLS, empty if that cannot be seen
	injected   bool   // cert-manager writes the CA into the webhooks
	url        string // that the webhooks call, empty if they call a Service
	secret     string // with amp's certificate
	allow      string // AMP_ENDPOINT_ALLOW, empty if it is not set
	manifest   string // that `kubectl apply` applied last to the Deployment, empty if that is unknown
	release    release
}

// remediesFor knows how amp is installed by what was observed of it so far.
func remediesFor(s *observed, namespace string) remedies {
	r := remedies{namespace: namespace, deployment: "amp", pods: selector(labelled), url: s.target().url, allow: s.settings.config.EndpointAllow.String()}
	for _, c := range s.configurations() {
		r.injected = r.injected || c.annotations["cert-manager.io/inject-ca-from"] != ""
		if r.release.name == "" {
			r.release = releaseOf(c.annotations)
		}
	}
	const knative = "serving.knative.dev/service"
	if service := s.service.service.value; service != nil {
		r.knative = service.Spec.Selector[knative]
	}
	if all := s.deployments.value; len(all) > 0 {
		r.deployment, r.knative, r.manifest = all[0].Name, all[0].Labels[knative], all[0].Annotations[corev1.LastAppliedConfigAnnotation]
		r.release = releaseOf(all[0].Annotations)
		r.pods = selector(all[0].Spec.Selector.MatchLabels)
		r.secret = mountedSecret(s.template())
		_, ready := counts(all)
		r.down = ready == 0
	}
	if s.settings.doubt("AMP_TLS") == "" {
		r.tls = s.settings.config.TLS
	}
	if r.tls == serve.TLSSelf || r.secret == "" {
		r.secret = s.settings.config.TLSSecret
	}
	return r
}

// mountedSecret is the Secret that a Pod mounts, if it mounts just one: AMP_TLS=files reads it.
func mountedSecret(spec *corev1.PodSpec) string {
	var names []string
	for _, v := range spec.Volumes {
		if v.Secret != nil {
			names = append(names, v.Secret.SecretName)
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return ""
}

// subject is amp's Deployment.
func (r remedies) subject() string { return "deployment/" + r.deployment }

// logs is how to read the log of amp's replicas.
func (r remedies) logs() string {
	return fmt.Sprintf("kubectl -n %s logs -l %s --prefix --tail 50", r.namespace, r.pods)
}

// hints are what to do about a Pod that does not start, by a word of the cause that the node or the scheduler names. The
// last one matches anything. {manifests} is filled in by [remedies.describe].
var hints = []struct {
	words []string
	hint  string
}{
	{[]string{"has no node"}, "let a node take it: free CPU and memory, or change what keeps it away (a cordon, taints, nodeSelector). "},
	{[]string{"ErrImage", "ImagePull", "InvalidImageName"}, "correct the image, named in {manifests}, or let the nodes pull it (imagePullSecrets, the network). "},
	{[]string{"FailedMount", "FailedAttachVolume"}, "create what the volume needs, or take the volume out of {manifests}. "},
	{[]string{"CreateContainerConfigError"}, "create what is missing, or correct {manifests}. "},
	{[]string{"RunContainerError", "CreateContainerError", "StartError"}, "correct command, args or resources in {manifests}. "},
	{[]string{"probe failed"}, "correct the probe or the port in {manifests}, if its log shows that amp runs. "},
	{[]string{""}, ""},
}

// describe is how to see more of this Pod, with what to do if the cause says so. The Pod is nil if there is none.
func (r remedies) describe(cause string, pod *corev1.Pod) string {
	if pod == nil {
		return fmt.Sprintf("this says more:\nkubectl -n %s describe replicasets", r.namespace)
	}
	for _, h := range hints {
		if slices.ContainsFunc(h.words, func(word string) bool { return strings.Contains(cause, word) }) {
			hint := strings.ReplaceAll(h.hint, "{manifests}", r.manifests())
			return fmt.Sprintf("%sThis says more:\nkubectl -n %s describe pod %s", hint, r.namespace, pod.Name)
		}
	}
	return ""
}

// back is how to go back to the revision that serves, in addition to another remedy.
func (r remedies) back(to *revision) string {
	if r.knative != "" || to.number == "" {
		return ""
	}
	return fmt.Sprintf("\nOr go back to revision %s:\nkubectl -n %s rollout undo deployment/%s --to-revision %s", to.number, r.namespace, r.deployment, to.number)
}

// noTLS says what to do about a replica that does not speak TLS.
func (r remedies) noTLS() string {
	switch {
	case r.url != "":
		return "check what answers at " + r.url
	case r.tls == serve.TLSOff && r.release.name != "":
		return r.set("AMP_TLS-") // the chart's manifests set another
	case r.tls == serve.TLSOff:
		return r.apply() // the manifests set AMP_TLS
	}
	return "its log says why:\n" + r.logs()
}

// reach says how to let the API server reach amp, by what it said of a call, which can be nothing. clientCA says that
// amp wants a client certificate.
func (r remedies) reach(said string, clientCA bool) string {
	switch {
	case strings.Contains(said, "x509: "):
		return r.bundle()
	case strings.Contains(said, "client certificate"), said == "" && clientCA:
		return "AMP_TLS_CLIENT_CA demands a client certificate: give the API server one, in the kubeconfig of its\n" +
			"AdmissionConfiguration, or\n" + r.set("AMP_TLS_CLIENT_CA-")
	case r.url != "":
		return "let the API server reach " + r.url + "; its own log names the failed calls"
	}
	return "let the API server reach the TLS port of amp's Pods (8443): NetworkPolicies in amp's namespace, and the firewall\n" +
		"between control plane and nodes; its own log names the failed calls"
}

// Quoted is one word to a shell. Users paste remedies, and what a Namespace says is written by its tenants.
func Quoted(word string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,"
	if strings.Trim(word, harmless) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
