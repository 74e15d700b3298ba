package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// recorder sends the events, and prints a line for each review once the first screen is done.
type recorder struct {
	emit.Recorder
	out  io.Writer
	live bool
}

// Record records a review and prints how it ended.
func (r *recorder) Record(ctx context.Context, rec *review.Record) {
	r.Recorder.Record(ctx, rec)
	if r.live {
		fmt.Fprintf(r.out, "%s %s of %s/%s: %s, %s\n", rec.Time.Format("15:04:05"), rec.Review.Phase, rec.Review.Namespace, rec.Review.PodName(), rec.Verdict.Outcome, rec.Took.Round(10*time.Microsecond))
	}
}

// palette holds the colours of the screen; they are empty if it is not a terminal.
type palette struct{ bold, dim, red, green, reset string }

func colours() palette {
	info, err := os.Stdout.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return palette{}
	}
	return palette{bold: "\x1b[1m", dim: "\x1b[2m", red: "\x1b[31m", green: "\x1b[32m", reset: "\x1b[0m"}
}

// show prints the one screen of the demo.
func (d *demo) show(out io.Writer) error {
	c := colours()
	rec, err := d.ask(works, review.Mutate, "")
	if err != nil {
		return err
	}
	step := &review.Step{}
	if n := len(rec.Run.Steps); n > 0 {
		step = &rec.Run.Steps[n-1]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s%s\n\n", c.bold, d.shown.title, c.reset)
	switch {
	case rec.Verdict.Outcome == review.OutcomeMutated:
		changes, err := podDiff(rec)
		if err != nil {
			return err
		}
		writeDiff(&b, c, changes)
	case rec.Verdict.Message != "":
		fmt.Fprintf(&b, "  %s%s%s\n", c.red, rec.Verdict.Message, c.reset)
	default:
		fmt.Fprintf(&b, "  the same: the endpoint wants no change\n")
	}
	for _, w := range rec.Verdict.Warnings {
		fmt.Fprintf(&b, "  Warning: %s\n", w)
	}
	n := 0
	for i := range rec.Run.Steps {
		n += len(rec.Run.Steps[i].Ops)
	}
	ops := "operations"
	if n == 1 {
		ops = "operation"
	}
	fmt.Fprintf(&b, "\n  who       %s, in namespace %s\n  endpoint  %s\n  patch     %d %s\n  took      %.1f ms, %.1f of them at the endpoint\n",
		rec.Review.User, rec.Review.Namespace, step.Endpoint.Name, n, ops,
		float64(rec.Took.Microseconds())/1000, float64(step.Took.Microseconds())/1000)
	fmt.Fprintf(&b, "  event     %s\n            %s?event=%s\n", rec.Plan.Event, d.url+auditPath, rec.Plan.Event)

	if d.port != "" {
		fmt.Fprintf(&b, "\n%s%s%s\n", c.bold, d.port, c.reset)
	}
	fmt.Fprintf(&b, "\n%samp serves at %s until you press Ctrl-C. Try:%s\n\n", c.bold, d.url, c.reset)
	for _, try := range []struct {
		title, namespace, path string
		phase                  review.Phase
		policy                 review.FailurePolicy
	}{
		{"the same, as the API server sees it: the answer holds the patch in base64", works, "/mutate/fail", review.Mutate, review.Fail},
		{"with an endpoint that is down, in a namespace whose policy is Fail", broken, "/mutate/fail", review.Mutate, review.Fail},
		{"the same under Ignore", broken, "/mutate/ignore", review.Mutate, review.Ignore},
		{"an endpoint that refuses: images may come from registry.example only", refuses, "/validate/fail", review.Validate, review.Fail},
	} {
		rec, err := d.ask(try.namespace, try.phase, try.policy)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "  %s# %s%s\n  curl -s %s/demo/%s | curl -s -H 'Content-Type: application/json' --data-binary @- %s%s\n",
			c.dim, try.title, c.reset, d.url, try.namespace, d.url, try.path)
		switch {
		case !rec.Verdict.Allowed():
			fmt.Fprintf(&b, "  %sthe user sees:%s %s%s%s\n", c.dim, c.reset, c.red, rec.Verdict.Message, c.reset)
		case len(rec.Verdict.Warnings) > 0:
			fmt.Fprintf(&b, "  %sthe user sees:%s Warning: %s\n", c.dim, c.reset, strings.Join(rec.Verdict.Warnings, "\n  Warning: "))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "Your own endpoint instead of the sample: go run ./cmd/demo --endpoint http://127.0.0.1:9000/\n\n")
	_, err = io.WriteString(out, b.String())
	return err
}

// podDiff compares the Pod before and after the patch as YAML, the form in which users write Pods.
func podDiff(rec *review.Record) ([]byte, error) {
	patched, err := patch.Apply(rec.Review.Pod, rec.Verdict.Patch)
	if err != nil {
		return nil, err
	}
	before, err := asYAML(rec.Review.Pod)
	if err != nil {
		return nil, err
	}
	after, err := asYAML(patched)
	if err != nil {
		return nil, err
	}
	return diff.Diff("before", before, "after", after), nil
}

// asYAML is a Pod as YAML, without managedFields, which only the API server needs.
func asYAML(pod json.RawMessage) ([]byte, error) {
	var object map[string]any
	if err := json.Unmarshal(pod, &object); err != nil {
		return nil, err
	}
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	return yaml.Marshal(object)
}

// writeDiff writes a unified diff without its head, because the line above already says what is compared.
func writeDiff(b *strings.Builder, c palette, changes []byte) {
	for line := range bytes.Lines(changes) {
		text := strings.TrimSuffix(string(line), "\n")
		switch {
		case strings.HasPrefix(text, "diff "), strings.HasPrefix(text, "--- "), strings.HasPrefix(text, "+++ "):
			continue
		case strings.HasPrefix(text, "@@"):
			text = c.dim + "…" + c.reset
		case strings.HasPrefix(text, "+"):
			text = c.green + text + c.reset
		case strings.HasPrefix(text, "-"):
			text = c.red + text + c.reset
		default:
			text = c.dim + text + c.reset
		}
		fmt.Fprintf(b, "  %s\n", text)
	}
}
