package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/manifest"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
	"github.com/txn2/amp/internal/shapes"
)

const conformUsage = `kubectl amp conform sends an endpoint a Pod of every shape that an API server
sends, judges the answers as amp does, and says what to fix. It needs no cluster.

usage: kubectl amp conform --endpoint URL [flags]

Half of the requests are real reviews (ce-dryrun: false): an endpoint that has
side effects has them. Ask a test instance, or use --only-dry-runs. The command
calls any address, loopback too; amp itself calls private addresses only.

  kubectl amp conform --endpoint http://127.0.0.1:9000/
  kubectl amp conform --endpoint http://127.0.0.1:9000/ -f pod.yaml -o json
  kubectl amp conform --endpoint http://127.0.0.1:9000/check --validate

exit codes:
  0  the endpoint keeps the contract; there may be advice
  1  it does not; the report says what to fix
  2  it could not be asked: a wrong flag, a file that cannot be read, or no server
     at that address

flags:
`

func runConform(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := newFlags("conform", conformUsage, out, errs)
	flags.output("text", "json")
	endpoint := endpointFlags(flags)
	onlyDry := flags.Bool("only-dry-runs", false, "send no real review, and leave out the rule that compares both")
	if code, done := flags.parse(args, 0); done {
		return code
	}
	at, more, err := endpoint.read(ctx)
	if err != nil {
		return flags.fail(err)
	}
	report, err := conform.Run(ctx, conform.Config{
		Endpoint: at.URL, Phase: endpoint.phase(), More: more, Budget: endpoint.timeout, MaxBytes: endpoint.maxBytes, CAFile: endpoint.ca,
		OnlyDryRuns: *onlyDry, UserAgent: outbound.UserAgent(serve.Version()),
	})
	if err != nil {
		return flags.fail(err)
	}
	return flags.report(report, report.Errors() > 0)
}

// endpointFlag are the flags that say which endpoint is called, and how.
type endpointFlag struct {
	url, file, ca string
	validate      bool
	timeout       time.Duration // 0 is amp's default
	maxBytes      int64
}

func endpointFlags(flags *flagSet) *endpointFlag {
	e := &endpointFlag{}
	flags.StringVar(&e.url, "endpoint", "", "URL of the endpoint, as a Namespace names it (required)")
	flags.StringVarP(&e.file, "filename", "f", "", "also send these Pods: manifests as for kubectl amp try, or an AdmissionReview; - is stdin")
	flags.StringVar(&e.ca, "ca", "", "PEM file with the CAs of an https endpoint; by default the system's")
	flags.BoolVar(&e.validate, "validate", false, "send validating reviews instead of mutating ones")
	flags.DurationVar(&e.timeout, "timeout", 0, "time for one answer, like AMP_TIMEOUT (default 1500ms, half of it with --validate)")
	flags.Int64Var(&e.maxBytes, "max-bytes", conform.DefaultMaxBytes, "the most bytes of an answer, like AMP_ENDPOINT_MAX_BYTES")
	return e
}

func (e *endpointFlag) phase() review.Phase {
	if e.validate {
		return review.Validate
	}
	return review.Mutate
}

// read returns the endpoint, and the Pods of the file if there is one. The errors do not repeat the URL, which may hold a
// secret.
func (e *endpointFlag) read(ctx context.Context) (review.Endpoint, []shapes.Shape, error) {
	var none review.Endpoint
	switch {
	case e.url == "":
		return none, nil, errors.New("--endpoint is missing: name the URL of the endpoint, e.g. --endpoint http://127.0.0.1:9000/")
	case e.timeout < 0:
		return none, nil, fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 1500ms", e.timeout)
	case e.maxBytes <= 0:
		return none, nil, fmt.Errorf("--max-bytes %d: allowed is a positive number", e.maxBytes)
	}
	u, err := review.ParseURL(e.url)
	if err != nil {
		return none, nil, fmt.Errorf("--endpoint: the URL %w", err)
	}
	if e.timeout == 0 {
		e.timeout = conform.BudgetOf(e.phase())
	}
	if e.file == "" {
		return review.NewEndpoint(u), nil, nil
	}
	own, err := e.shapes(ctx)
	if err != nil {
		return none, nil, fmt.Errorf("--filename: %w", err)
	}
	return review.NewEndpoint(u), own, nil
}

// shapes reads the file: an AdmissionReview, or manifests as kubectl amp try reads them.
func (e *endpointFlag) shapes(ctx context.Context) ([]shapes.Shape, error) {
	text, err := manifest.Load(e.file, interruptible{ctx, os.Stdin})
	if err != nil {
		return nil, err
	}
	var is struct {
		Kind string `json:"kind"`
	}
	if asJSON, err := yaml.YAMLToJSON(text); err == nil && json.Unmarshal(asJSON, &is) == nil && is.Kind == "AdmissionReview" {
		shape, err := shapes.Read(e.file, asJSON, e.phase())
		return []shapes.Shape{shape}, err
	}
	m := &manifest.Manifests{}
	if err := m.Add(e.file, text, "", false); err != nil {
		return nil, err
	}
	if len(m.Pods) == 0 {
		return nil, fmt.Errorf("%s: it creates no Pod: expected a Pod, an object with a template, or an AdmissionReview", strings.Join(m.Skipped, "; "))
	}
	var all []shapes.Shape
	for i := range m.Pods {
		p := &m.Pods[i]
		shape, err := shapes.OfPod(p.Source, p.JSON, p.NamespaceOf(), p.User, p.Groups, e.phase())
		if err != nil {
			return nil, err
		}
		all = append(all, shape)
	}
	return all, nil
}
