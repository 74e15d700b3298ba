package jupyterhub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/events/describe"
	corev1 "k8s.io/api/core/v1"
	kyaml "sigs.k8s.io/yaml"
)

// A Question asks what the endpoint would do with a Pod: with the one of a user, as Zero to JupyterHub makes it
// without further settings, or with one from a file.
type Question struct {
	User   string
	Server string   // name of a named server; empty for the default one
	Groups []string // as the hub would write them where groupsFrom says
	Pod    []byte   // YAML or JSON. If it is set, the fields above are not used
	Values bool     // also print values of environment variables, which may be secrets
}

// answer prints what happens with the Pod, and returns the exit code.
func (q *Question) answer(p *profiles, stdout, stderr io.Writer) int {
	raw, err := q.pod(p)
	if err == nil {
		err = explain(p, raw, q.Values, stdout)
	}
	if refused := (*notAdmitted)(nil); errors.As(err, &refused) {
		fmt.Fprintln(stdout, refused)
		return 1
	} else if err != nil {
		fmt.Fprintln(stderr, "endpoints:", err)
		return 2
	}
	return 0
}

// notAdmitted says why the Pod would not be admitted. Under Ignore it would be, if the endpoint failed.
type notAdmitted struct{ why string }

func (n *notAdmitted) Error() string { return n.why }

// pod returns the Pod that the question is about, as JSON.
func (q *Question) pod(p *profiles) ([]byte, error) {
	if q.Pod != nil {
		raw, err := kyaml.YAMLToJSON(q.Pod)
		if err != nil {
			return nil, fmt.Errorf("reading the Pod: %w", err)
		}
		var is struct {
			Kind string
			Spec *json.RawMessage
		}
		if err := json.Unmarshal(raw, &is); err != nil || is.Kind != "Pod" || is.Spec == nil {
			return nil, fmt.Errorf("reading the Pod: want one object of kind Pod, with a spec; the file has kind %q", is.Kind)
		}
		return raw, nil
	}
	pod := hubsPod(q.User, q.Server)
	switch from := p.GroupsFrom; {
	case len(q.Groups) == 0:
	case from.Annotation != "":
		pod.Annotations[from.Annotation] = strings.Join(q.Groups, ",")
	case from.Label == "":
		return nil, errors.New("the profiles file has no groupsFrom, so the endpoint takes no group from a Pod: add groupsFrom, or leave out --group")
	case len(q.Groups) > 1:
		return nil, fmt.Errorf("groupsFrom names the label %s, which holds one group: give one --group", from.Label)
	default:
		pod.Labels[from.Label] = q.Groups[0]
	}
	return json.Marshal(pod)
}

// explain prints what the endpoint does with a Pod, from the answer that amp would get.
func explain(p *profiles, raw []byte, values bool, w io.Writer) error {
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		return fmt.Errorf("reading the Pod: %w", err)
	}
	user, ok := pod.Annotations[Annotation]
	if !ok {
		fmt.Fprintf(w, "no change: the Pod has no annotation %s, so it is not a user's\n", Annotation)
		return nil
	}
	p.introduce(w, user, &pod)
	got, err := ask(p, raw)
	if err != nil {
		return err
	}
	data := events.Data{Object: raw, Patch: got.Patch}
	if !values {
		hideEnv(&data)
	}
	for _, change := range describe.Changes(&data) {
		fmt.Fprintln(w, "-", change.Words)
		if v := string(change.Value); strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
			fmt.Fprintln(w, "  ", v) // a short value is in the words
		}
	}
	for _, warning := range got.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	switch {
	case !got.Allowed:
		return &notAdmitted{"refused: " + got.Status.Message}
	case len(got.Patch) > 0:
	case len(got.Warnings) > 0:
		fmt.Fprintln(w, "no change: see the warning")
	default:
		fmt.Fprintln(w, "no change: the profiles hold nothing for this user that the Pod does not have")
	}
	return nil
}

// introduce prints which profiles a user has, and why.
func (p *profiles) introduce(w io.Writer, user string, pod *corev1.Pod) {
	groups, _ := p.GroupsFrom.of(pod)
	layers, _ := p.layers(asked{user, groups})
	fmt.Fprintf(w, "user %s has these profiles, the weakest first:\n", user)
	for _, l := range layers {
		if l.why != "" {
			fmt.Fprintf(w, "  %s (%s)\n", l.from, l.why)
		} else {
			fmt.Fprintf(w, "  %s\n", l.from)
		}
	}
	for _, name := range groups {
		if _, ok := p.Groups[name]; !ok {
			fmt.Fprintf(w, "the Pod names the group %s, which the file does not have\n", name)
		}
	}
	n := spell(p.Slugs, user, pod.Annotations[ServerAnnotation])
	fmt.Fprintf(w, "{username} is %q, {servername} %q, {user_server} %q\n", n.user, n.server, n.userServer)
}

// answered is an answer of the endpoint, in its long form.
type answered struct {
	Allowed  bool
	Status   struct{ Message string }
	Warnings []string
	Patch    []events.Op
}

// ask sends a Pod to the endpoint, without a network.
func ask(p *profiles, raw []byte) (a answered, err error) {
	r, err := http.NewRequest(http.MethodPost, "/", bytes.NewReader(raw))
	if err != nil {
		return a, err
	}
	w := &response{header: http.Header{}}
	handler(func() (*profiles, error) { return p, nil })(w, r)
	switch {
	case w.status >= http.StatusBadRequest:
		return a, &notAdmitted{"not decided: " + strings.TrimSpace(w.body.String())}
	case bytes.HasPrefix(w.body.Bytes(), []byte("[")):
		a.Allowed, err = true, json.Unmarshal(w.body.Bytes(), &a.Patch)
	default:
		err = json.Unmarshal(w.body.Bytes(), &a)
	}
	return a, err
}

// response keeps an answer in memory.
type response struct {
	header http.Header
	status int // 0 means 200
	body   bytes.Buffer
}

func (r *response) Header() http.Header         { return r.header }
func (r *response) WriteHeader(status int)      { r.status = status }
func (r *response) Write(b []byte) (int, error) { return r.body.Write(b) }

// hideEnv hides the values of environment variables in a Pod and in a patch.
func hideEnv(d *events.Data) {
	d.Object = hidden(d.Object, false)
	for i, op := range d.Patch {
		keys := strings.Split(op.Path, "/")
		last := len(keys) - 1
		if slices.Contains(keys, "env") && keys[last] == "value" {
			d.Patch[i].Value = json.RawMessage(`"` + events.Redacted + `"`)
		} else {
			d.Patch[i].Value = hidden(op.Value, slices.Contains(keys[max(0, last-1):], "env"))
		}
	}
}

func hidden(text json.RawMessage, env bool) json.RawMessage {
	if len(text) == 0 {
		return text // of a remove
	}
	t := tree(text)
	hideIn(t, env)
	b, _ := json.Marshal(t)
	return b
}

// hideIn replaces each value of a variable. An env is a list of variables, or one.
func hideIn(t any, env bool) {
	switch v := t.(type) {
	case []any:
		for _, e := range v {
			hideIn(e, env)
		}
	case map[string]any:
		if _, ok := v["value"]; ok && env {
			v["value"] = events.Redacted
		}
		for k, e := range v {
			hideIn(e, k == "env")
		}
	}
}
