package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/txn2/amp/internal/manifest"
)

// shown is the review that the demo sends.
type shown struct {
	text  string // the AdmissionReview, in the namespace works
	title string // what is shown, as a sentence
}

// recordedUID is the uid of the recorded review.
const recordedUID = "6dd84eb1-9610-42c8-9379-4f4257fa319f"

// shownReview is the recorded review or, if file is not empty, one of the first Pod in it.
func shownReview(file string) (shown, error) {
	if file == "" {
		return shown{recorded, "JupyterHub starts alice's notebook. amp hands the Pod to an endpoint, and it comes back as:"}, nil
	}
	m, err := manifest.Read([]string{file}, os.Stdin, works, false)
	if err != nil {
		return shown{}, fmt.Errorf("--pod: %w", err)
	}
	if len(m.Pods) == 0 {
		return shown{}, fmt.Errorf("--pod %s: nothing in it creates a Pod", file)
	}
	var pod, review map[string]any
	if err := json.Unmarshal(m.Pods[0].JSON, &pod); err != nil {
		return shown{}, fmt.Errorf("--pod: %w", err)
	}
	if err := json.Unmarshal([]byte(recorded), &review); err != nil {
		return shown{}, err
	}
	metadata, _ := pod["metadata"].(map[string]any)
	metadata["namespace"] = works // the one that has the endpoint
	name, _ := metadata["name"].(string)
	request, _ := review["request"].(map[string]any)
	request["object"], request["name"] = pod, name
	request["userInfo"] = map[string]any{"username": m.Pods[0].User, "groups": m.Pods[0].Groups}
	text, err := json.MarshalIndent(review, "", "  ")
	return shown{string(text), "amp hands your Pod to the endpoint (" + m.Pods[0].Source + "), and it comes back as:"}, err
}

// in is the review as if the Pod were created in namespace.
func (s *shown) in(namespace string) string {
	return strings.ReplaceAll(s.text, `"namespace": "`+works+`"`, `"namespace": "`+namespace+`"`)
}

// serveReview lets curl fetch the review that it then posts. Each answer has another uid, by which the audit page
// distinguishes them.
func (d *demo) serveReview(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, strings.Replace(d.shown.in(req.PathValue("namespace")), recordedUID, uuid.NewString(), 1))
}
