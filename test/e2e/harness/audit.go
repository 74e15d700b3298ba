package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// auditPolicy records everything that amp does, who created which Pod, and what the webhooks noted about it. It does
// not record Pods. Clusters commonly use this level.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["` + ampUser + `"]
- level: Metadata
  verbs: [create]
  resources: [{group: "", resources: [pods]}]
- level: None
`

// ampUser is amp's ServiceAccount.
const ampUser = "system:serviceaccount:amp-system:amp"

// Audited is one entry of the API server's audit log, with the fields that the tests read.
type Audited struct {
	AuditID string `json:"auditID"`
	Verb    string `json:"verb"`
	User    struct {
		Username string `json:"username"`
	} `json:"user"`
	ImpersonatedUser *struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	ObjectRef struct {
		APIGroup  string `json:"apiGroup"`
		Resource  string `json:"resource"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	// Annotations are the API server's own and those of the webhooks; the latter have keys <webhook>/<key>.
	Annotations map[string]string `json:"annotations"`
}

// keepAudit makes the API server write its audit log. It writes each entry before it answers.
func (a *APIServer) keepAudit() error {
	path := filepath.Join(a.dir, "audit-policy.yaml")
	a.args = append(a.args, "--audit-policy-file="+path, "--audit-log-path="+a.auditLog())
	return os.WriteFile(path, []byte(auditPolicy), 0o600)
}

func (a *APIServer) auditLog() string { return filepath.Join(a.dir, "audit.log") }

// AuditLog is the audit log as it was written.
func (a *APIServer) AuditLog() ([]byte, error) { return os.ReadFile(a.auditLog()) }

// Audited are the entries of the audit log for a namespace's Pods.
func (a *APIServer) Audited(namespace string) ([]Audited, error) {
	return a.audited(func(e *Audited) bool { return e.ObjectRef.Resource == "pods" && e.ObjectRef.Namespace == namespace })
}

// AuditedOfAmp are the entries of the audit log for amp's own requests.
func (a *APIServer) AuditedOfAmp() ([]Audited, error) {
	return a.audited(func(e *Audited) bool { return e.User.Username == ampUser })
}

func (a *APIServer) audited(wanted func(*Audited) bool) ([]Audited, error) {
	log, err := a.AuditLog()
	if err != nil {
		return nil, err
	}
	var entries []Audited
	for line := range bytes.Lines(log) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // the line is still being written
		}
		var entry Audited
		if err := json.Unmarshal(line, &entry); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if wanted(&entry) {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}
