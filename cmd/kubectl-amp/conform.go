package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
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
calls any address, loopback too, but not where clouds give an instance its
credentials; amp itself calls private addresses only.

  kubectl amp conform --endpoint http://127.0.0.1:9000/
  kubectl amp conform --endpoint http://127.0.0.1:9000/ -f pod.yaml -o json
  kubectl amp conform --endpoint http://127.0.0.1:9000/check --validate

exit codes:
  0  the endpoint keeps the contract; there may be advice
  1  it does not; the report says what to fix
  2  it could not be asked, or not to the end: a wrong flag, a file that cannot be
     read, no server at that address, a certificate that cannot be verified

flags:
`

func runConform(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := newFlags("conform", conformUsage, out, errs)
	flags.output("text", "json")
	endpoint := endpointFlags(flags, "also send these Pods")
	onlyDry := flags.Bool("only-dry-runs", false, "send no real review, and leave out the rule that compares both")
	if code, done := flags.parse(args, 0); done {
		return code
	}
	at, more, err := endpoint.read(ctx)
	if err != nil {
		return flags.fail(err)
	}
	report, err := conform.Run(ctx, conform.Config{
		Endpoint: at.URL, Phase: endpoint.phase(), More: more, Budget: endpoint.timeout, MaxBytes: endpoint.maxBytes, CAFile: *endpoint.ca,
		OnlyDryRuns: *onlyDry, UserAgent: outbound.UserAgent(serve.Version()),
	})
	code := exitOK
	if report != nil && report.Shapes > 0 {
		code = flags.report(report, report.Errors() > 0)
	}
	switch {
	case code == exitUsage: // it has said why
	case ctx.Err() != nil:
		return flags.fail(errInterrupted)
	case err != nil:
		return flags.fail(atCA(err))
	}
	return code
}

var errInterrupted = errors.New("interrupted")

// atCA is the error of a call. The client of endpoints names the CAs by the variable of the proxy. Here a flag says which.
func atCA(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), " (AMP_ENDPOINT_CA)", ": name the file with its CA: --ca FILE (amp in a cluster: AMP_ENDPOINT_CA)"))
}

// endpointFlag are the flags that say which endpoint is called, and how.
type endpointFlag struct {
	errs        io.Writer
	urls, files []string
	ca          *string
	validate    bool
	timeout     time.Duration // 0 is amp's default
	maxBytes    int64
}

// endpointFlags adds the flags. pods says what is done with the Pods of -f.
func endpointFlags(flags *flagSet, pods string) *endpointFlag {
	e := &endpointFlag{errs: flags.errs}
	flags.StringArrayVar(&e.urls, "endpoint", nil, "`URL` of the endpoint, as a Namespace names it (required)")
	flags.StringArrayVarP(&e.files, "filename", "f", nil, pods+": `file` with manifests as for kubectl amp try, or with AdmissionReviews; - is stdin; may be repeated")
	e.ca = flags.caFlag("endpoints")
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

// read returns the endpoint, and the Pods of the files, nil if there is no file. The errors do not repeat the URL, which may hold a
// secret.
func (e *endpointFlag) read(ctx context.Context) (review.Endpoint, []shapes.Shape, error) {
	var none review.Endpoint
	switch {
	case len(e.urls) > 1:
		return none, nil, fmt.Errorf("--endpoint: it is given %d times, and this command asks one endpoint: run it for each of them", len(e.urls))
	case len(e.urls) == 0 || e.urls[0] == "":
		return none, nil, errors.New("--endpoint is missing: name the URL of the endpoint, e.g. --endpoint http://127.0.0.1:9000/")
	case e.timeout < 0:
		return none, nil, fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 1500ms", e.timeout)
	case e.maxBytes <= 0:
		return none, nil, fmt.Errorf("--max-bytes %d: allowed is a positive number", e.maxBytes)
	}
	u, err := review.ParseURL(e.urls[0])
	if err != nil {
		return none, nil, fmt.Errorf("--endpoint: the URL %w", err)
	}
	if e.timeout == 0 {
		e.timeout = conform.BudgetOf(e.phase())
	}
	var all []shapes.Shape
	for _, file := range e.files {
		own, err := e.shapes(ctx, file)
		if err != nil {
			return none, nil, fmt.Errorf("--filename: %w", err)
		}
		all = append(all, own...)
	}
	return review.NewEndpoint(u), all, nil
}

// shapes reads a file: the Pods of its manifests, as kubectl amp try reads them, and then its AdmissionReviews. It says which
// objects are neither.
func (e *endpointFlag) shapes(ctx context.Context, file string) ([]shapes.Shape, error) {
	text, err := manifest.Load(file, interruptible{ctx, os.Stdin})
	if err != nil {
		return nil, err
	}
	if file == "-" {
		file = "stdin"
	}
	m := &manifest.Manifests{}
	if err := m.Add(file, text, "", false); err != nil {
		return nil, err
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
	reviews, err := reviewsIn(text)
	if err != nil {
		return nil, err
	}
	for i, text := range reviews {
		name := file
		if len(reviews) > 1 {
			name = fmt.Sprintf("%s, AdmissionReview %d", file, i+1)
		}
		shape, err := shapes.Read(name, text, e.phase())
		if err != nil {
			return nil, err
		}
		all = append(all, shape)
		// To a reader of manifests it is an object that creates no Pod.
		if at := slices.Index(m.Skipped, file+", AdmissionReview "); at >= 0 {
			m.Skipped = slices.Delete(m.Skipped, at, at+1)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: it creates no Pod: expected a Pod, an object with a template, or an AdmissionReview", strings.Join(m.Skipped, "; "))
	}
	for _, skipped := range m.Skipped {
		fmt.Fprintf(e.errs, "%s: skipped, it creates no Pod\n", strings.Map(printable, skipped))
	}
	return all, nil
}

// reviewsIn returns the documents of a file that are AdmissionReviews, as JSON.
func reviewsIn(text []byte) (all [][]byte, err error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var is struct {
			Kind string `json:"kind"`
		}
		asJSON, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, err
		}
		if json.Unmarshal(asJSON, &is) == nil && is.Kind == "AdmissionReview" {
			all = append(all, asJSON)
		}
	}
}
