package doctor

import (
	"fmt"
	"slices"
)

// A check judges one thing of what was observed. It reads nothing else and changes nothing.
type check struct {
	id   string // of its findings, for scripts: it does not change
	find func(*observed) []Finding
}

// checks are all checks but those of dry runs, in the order of the report. docs/doctor.md describes each.
var checks = []check{
	{"webhooks", checkWebhooks},
	{"service", checkService},
	{"replicas", checkReplicas},
	{"images", checkImages},
	{"certificate", checkCertificates},
	{"rbac", checkAccess},
	{"settings", ofDeployment(checkSettings)},
	{"events-source", ofDeployment(checkEventsSource)},
	{"events-sink", ofDeployment(checkEventsSink)},
	{"namespaces", checkNamespaces},
	{"keys", inEachNamespace(checkKeys)},
	{"selected", checkSelected},
	{"endpoint", inEachNamespace(checkEndpoints)},
	{"circuit", inEachNamespace(checkCircuits)},
	{"deadlock", inEachNamespace(checkDeadlock)},
	{"validate", inEachNamespace(checkValidate)},
	{"timeout", inEachNamespace(checkTimeout)},
	{"events-level", inEachNamespace(checkEventsLevel)},
	{"misspelt", checkMisspelt},
	{"opt-in", checkOptIns},
}

// dryRunChecks judge the Pods that were tried, which depends on the findings of checks.
var dryRunChecks = []check{
	{"calls", checkCalls},
	{"dry-run", checkDryRuns},
}

// judge runs the checks one after the other.
func judge(all []check, s *observed) []Finding {
	var findings []Finding
	for _, c := range all {
		for _, f := range c.find(s) {
			f.ID = c.id
			findings = append(findings, f)
		}
	}
	return findings
}

// inEachNamespace makes a check of one that judges a namespace that has opted in.
func inEachNamespace(find func(*observed, *namespace) []Finding) func(*observed) []Finding {
	return func(s *observed) []Finding {
		var findings []Finding
		for _, n := range s.optedIn() {
			findings = append(findings, find(s, n)...)
		}
		return findings
	}
}

// ofDeployment makes a check of one that judges what amp's Deployment says. Without a Deployment it finds nothing: that
// is a finding of replicas.
func ofDeployment(find func(*observed) Finding) func(*observed) []Finding {
	return func(s *observed) []Finding {
		switch {
		case len(s.deployments.value) > 0:
			return []Finding{find(s)}
		case s.deployments.err != nil:
			return []Finding{unread(s.fix.subject(), s.deployments.err)}
		}
		return nil
	}
}

// unread is the finding about something that could not be read.
func unread(subject string, err error) Finding {
	return Finding{Subject: subject, Status: Skipped, Message: "not checked: " + err.Error()}
}

// failedIn reports whether a check failed for the namespace or, if that is empty, for the installation.
func failedIn(namespace string, findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Status == Failed && f.Namespace == namespace })
}

// count says how many there are of something, in words.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
