package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

// Two rules hold for all remedies:
//
//  1. A remedy does not touch what works.
//  2. A remedy lasts. What the manifests say is changed in them, because the next `kubectl apply -k` would undo a
//     change by hand. A change by hand lasts where the manifests say nothing.

// apply brings back what was removed or changed by hand.
func (r remedies) apply() string {
	if r.release.name != "" {
		return "apply the chart again that installed amp:\n" + r.applyAgain()
	}
	if r.namespace != review.InstallNamespace {
		return "apply the overlay again that installed " + r.folder() + " into namespace " + r.namespace + ":\n" + r.applyAgain()
	}
	return "apply again what installed amp: your overlay of " + r.folder() + " or, if there is none,\n" + r.applyAgain()
}

// folder is the one of this repository from which amp was installed.
func (r remedies) folder() string {
	switch {
	case r.knative != "":
		return "knative"
	case r.injected || r.tls == serve.TLSFiles:
		return "deploy/cert-manager"
	}
	return "deploy"
}

// applyAgain is the command of [remedies.apply].
func (r remedies) applyAgain() string {
	if r.release.name != "" {
		return r.release.upgrade()
	}
	if r.namespace != review.InstallNamespace {
		return "kubectl apply -k OVERLAY"
	}
	return "kubectl apply -k " + r.folder()
}

// manifests is where a user changes what amp is installed with.
func (r remedies) manifests() string {
	if r.release.name != "" {
		return "the values of release " + Quoted(r.release.name)
	}
	return "your overlay"
}

// overlay is how to change what the manifests say. change is in the imperative.
func (r remedies) overlay(change string) string {
	if r.release.name != "" {
		return "in " + r.manifests() + ", " + change + ". Then\n" + r.applyAgain()
	}
	return "in your overlay of " + r.folder() + ", which installed amp, " + change + ". Then\nkubectl apply -k OVERLAY"
}

// applied is what `kubectl apply` applied last to the Deployment. It is empty if that is unknown.
func (r remedies) applied() (d appsv1.Deployment) {
	if json.Unmarshal([]byte(r.manifest), &d) != nil {
		return appsv1.Deployment{}
	}
	return d
}

// set is how to set variables of amp, each given as NAME=VALUE in the words of a shell, or to unset them (NAME-).
func (r remedies) set(assignments ...string) string {
	if r.release.name != "" {
		return r.release.set(assignments)
	}
	applied := r.applied()
	container, inManifest := containerOf(&applied.Spec.Template.Spec), r.knative != ""
	for _, a := range assignments {
		name, _, set := strings.Cut(a, "=")
		if !set {
			name = strings.TrimSuffix(a, "-")
		}
		for i := 0; container != nil && i < len(container.Env); i++ {
			inManifest = inManifest || container.Env[i].Name == name
		}
	}
	all := strings.Join(assignments, " ")
	switch unset := strings.HasSuffix(all, "-") && !strings.Contains(all, "="); {
	case inManifest && unset:
		return r.overlay("remove " + strings.TrimSuffix(all, "-") + " from the env of its container")
	case inManifest:
		return r.overlay("set " + all + " in the env of its container")
	}
	return fmt.Sprintf("kubectl -n %s set env deployment/%s %s", r.namespace, r.deployment, all)
}

// start is how to let two replicas run. none: it is scaled to 0, which the values of the chart cannot say.
func (r remedies) start(none bool) string {
	applied := r.applied()
	switch {
	case r.release.name != "" && !none:
		return r.overlay("set replicas (or, with autoscaling, autoscaling.minReplicas) to 2 or more")
	case r.knative != "":
		return r.overlay("set the annotation autoscaling.knative.dev/min-scale: \"2\" in the template of Service " + r.knative)
	case applied.Spec.Replicas != nil && *applied.Spec.Replicas < 2:
		return r.overlay("set replicas: 2")
	}
	return fmt.Sprintf("kubectl -n %s scale deployment/%s --replicas 2", r.namespace, r.deployment)
}

// otherNames is what to do where amp's roles do not name the Secret and the webhooks that its variables name.
func (r remedies) otherNames() string {
	if r.release.name != "" { // the chart has no value for the roles
		return r.overlay("remove AMP_TLS_SECRET and AMP_WEBHOOKS")
	}
	return r.overlay("let the roles of amp name what AMP_TLS_SECRET and AMP_WEBHOOKS name, or remove these variables")
}

// unlessIntended begins the remedy for what was added to the manifests. A command takes it out.
func (r remedies) unlessIntended() string {
	if r.release.name != "" { // no value of the chart adds such a thing
		return "nothing, if this is intended. Otherwise this takes it out:\n"
	}
	return "nothing, if this is intended. Otherwise take it out of your overlay and apply that; what the overlay does not say, this takes out:\n"
}

// resume is how to end the pause of a Deployment.
func (r remedies) resume() string {
	if r.applied().Spec.Paused {
		return r.overlay("remove paused: true")
	}
	return fmt.Sprintf("kubectl -n %s rollout resume deployment/%s", r.namespace, r.deployment)
}

// retry is the last part of a remedy after which Pods can be created: their controller may wait for minutes until it
// tries again.
func (r remedies) retry() string {
	if r.knative != "" {
		return ""
	}
	return fmt.Sprintf("\nThen, so that its Pods are created at once,\nkubectl -n %s rollout restart deployment/%s", r.namespace, r.deployment)
}

// refusals are what to do if amp's Pods cannot be created, by a part of what the API server says. The last one matches
// anything. The parts in braces are filled in by [remedies.refused].
var refusals = []struct {
	words  []string
	remedy string
}{
	{[]string{"exceeded quota", "failed quota"}, "let the quota of the namespace have room for two replicas and a third during a rollout. This shows it:\n" +
		"kubectl -n {namespace} describe resourcequotas{retry}"},
	{[]string{"PriorityClass", "error looking up service account"}, "{apply}{retry}"},
	{[]string{" usage per ", "limit ratio per "}, "let the limits of the namespace allow amp's Pods. This shows them:\nkubectl -n {namespace} describe limitranges{retry}"},
	{[]string{"violates PodSecurity"}, "take out of {manifests} what the message names; amp needs none of it:\n{applyAgain}{retry}"},
	{[]string{"ValidatingAdmissionPolicy"}, "correct that policy, or let its binding exclude namespace {namespace}. This lists the bindings:\n" +
		"kubectl get validatingadmissionpolicybindings{retry}"},
	{[]string{"failed calling webhook", "denied the request"}, "repair that webhook, or let it exclude namespace {namespace}. This lists the webhooks:\n" +
		"kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations{retry}"},
	{[]string{""}, "this says more:\nkubectl -n {namespace} describe replicasets"},
}

// refused says what to do if the API server refuses amp's Pods with this message.
func (r remedies) refused(message string) string {
	i := slices.IndexFunc(refusals, func(one struct {
		words  []string
		remedy string
	}) bool {
		return slices.ContainsFunc(one.words, func(word string) bool { return strings.Contains(message, word) })
	})
	return strings.NewReplacer("{namespace}", r.namespace, "{apply}", r.apply(), "{applyAgain}", r.applyAgain(), "{manifests}", r.manifests(), "{retry}", r.retry()).Replace(refusals[i].remedy)
}
