package doctor

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// checkService judges whether what the webhooks call leads to amp.
func checkService(s *observed) []Finding {
	to, b, fix := s.target(), &s.service, s.fix
	subject := "service/" + to.service.Name
	failed := func(remedy, format string, args ...any) []Finding {
		return []Finding{{Subject: subject, Status: Failed, Message: fmt.Sprintf(format, args...), Remedy: remedy}}
	}
	switch all := s.targets(); {
	case len(all) > 1:
		var addresses []string
		for _, to := range all {
			addresses = append(addresses, fmt.Sprintf("%s:%d", to.host, to.port))
		}
		return failed(fix.apply(), "the webhooks call different addresses: %s", strings.Join(addresses, ", "))
	case len(all) == 0:
		return []Finding{{Subject: subject, Status: Skipped, Message: "not checked: no webhook says which Service is called"}}
	case to.url != "":
		return []Finding{{Subject: to.url, Status: OK, Message: "the webhooks call " + to.url}}
	case to.service.Namespace != fix.namespace:
		return failed("to check the other namespace: kubectl amp doctor -n "+to.service.Namespace+"\nor, if the webhooks have to call this one: "+fix.apply(),
			"the webhooks call Service %s in namespace %s, not in %s", to.service.Name, to.service.Namespace, fix.namespace)
	case apierrors.IsNotFound(b.service.err):
		return failed(fix.apply(), "Service %s, which the webhooks call, is missing in namespace %s", to.service.Name, to.service.Namespace)
	case b.service.err != nil:
		return []Finding{unread(subject, b.service.err)}
	case b.port(to.port) == nil:
		return failed(fix.apply(), "the webhooks call port %d of Service %s, which has %s", to.port, to.service.Name, b.ports())
	case b.slices.err != nil:
		return []Finding{unread(subject, b.slices.err)}
	}
	if port, own := s.wrongPort(); port != 0 {
		return failed(fix.apply(), "%s:%d leads to port %d of the replicas, where amp does not listen: its ports are %s", to.host, to.port, port, own)
	}
	if ready := b.ready(to.port); len(ready) > 0 {
		return []Finding{{Subject: subject, Status: OK, Message: fmt.Sprintf("%s:%d leads to %s", to.host, to.port, count(len(ready), "ready replica"))}}
	}
	switch ready, err := s.replicasReady(); {
	case ready:
		return failed(fix.apply(), "replicas are ready, but Service %s selects none of them on one of their ports", to.service.Name)
	case err != nil:
		return []Finding{unread(subject, err)}
	}
	return []Finding{{Subject: subject, Status: Skipped, Message: "not checked: no replica is ready"}} // as replicas says
}

// wrongPort is the port of the replicas to which the Service leads, if amp's container does not have it among its ports;
// 0 if it has. Under Knative a container names only one of its ports.
func (s *observed) wrongPort() (port int32, own string) {
	c := s.container()
	if c == nil || len(c.Ports) == 0 || s.fix.knative != "" {
		return 0, ""
	}
	var names []string
	for _, p := range c.Ports {
		names = append(names, fmt.Sprint(p.ContainerPort))
	}
	for _, r := range s.service.ready(s.target().port) {
		if r.pod != "" && !slices.Contains(names, fmt.Sprint(r.port)) {
			return r.port, strings.Join(names, ", ")
		}
	}
	return 0, ""
}

// replicasReady reports whether a replica of amp is ready, by its Pods or, if they could not all be read, by its
// Deployments.
func (s *observed) replicasReady() (bool, error) {
	_, ready := counts(s.deployments.value)
	switch {
	case slices.ContainsFunc(s.pods.value, func(p corev1.Pod) bool { return isReady(&p) }):
		return true, nil
	case s.pods.err != nil:
		return ready > 0, nil
	}
	return false, s.deployments.err
}
