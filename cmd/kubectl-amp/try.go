package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/txn2/amp/internal/doctor"
	"github.com/txn2/amp/internal/manifest"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
	"github.com/txn2/amp/internal/tryout"
)

const tryUsage = `kubectl amp try sends Pods to an endpoint as amp would, without a cluster. It shows
what each Pod becomes, or the exact message that the Pod's creator would get.

usage: kubectl amp try -f FILE --endpoint URL [flags]

  kubectl amp try -f pod.yaml --endpoint http://127.0.0.1:9000/
  kubectl amp try -f deployment.yaml --endpoint URL1 --endpoint URL2 --twice
  kustomize build . | kubectl amp try -f - --endpoint URL -o words
  kubectl amp try -f pod.yaml --cluster -n team-a

A Deployment, StatefulSet, DaemonSet, Job, CronJob, ReplicaSet or
ReplicationController stands for the Pod that its controller would create. The
Pod has the API server's defaults, but not what only a cluster knows: its service
account with the token, and its priority.

Unlike amp in a cluster, this command calls loopback and public addresses. But of
the URLs that the Namespace names (--cluster), it calls none on loopback: others
may write the Namespace.

exit codes:
  0  the Pod is admitted, and nothing failed
  1  an endpoint denied the Pod or failed, or --twice found a second change
  2  the question could not be asked: a wrong flag, a file that cannot be read, no
     server at the endpoint's address, or no cluster

flags:
`

// tryFlags are the flags of try.
type tryFlags struct {
	*flagSet
	files, endpoints, groups             []string
	folder, user, namespace, policy      string
	colour, kubeconfigFile, contextName  string
	asker                                *tryout.Asker
	format                               *string
	validate, twice, dry, watch, cluster bool
	timeout                              time.Duration
	stdin                                io.Reader
	built                                map[string]time.Time // files of the kustomization, see [manifest.Manifests]
}

func runTry(ctx context.Context, args []string, out, errs io.Writer) int {
	f := &tryFlags{flagSet: newFlags("try", tryUsage, out, errs), stdin: interruptible{ctx, os.Stdin}}
	f.StringArrayVarP(&f.files, "filename", "f", nil, "file with manifests, - for stdin; may be repeated")
	f.StringVarP(&f.folder, "kustomize", "k", "", "folder with a kustomization")
	f.StringArrayVar(&f.endpoints, "endpoint", nil, "URL of the endpoint; repeated, a chain")
	ca := f.caFlag("endpoints")
	f.BoolVar(&f.validate, "validate", false, "ask the endpoint as a validation endpoint")
	f.BoolVar(&f.twice, "twice", false, "send the result again: an endpoint must want no change then")
	f.StringVar(&f.user, "as", "", "who creates the Pod; by default its controller, or kubernetes-admin")
	f.StringSliceVar(&f.groups, "as-group", nil, "group of that user; may be repeated")
	f.StringVarP(&f.namespace, "namespace", "n", "", "namespace of Pods that name none")
	f.BoolVar(&f.dry, "dry-run", false, "send a dry run")
	f.DurationVar(&f.timeout, "timeout", review.DefaultTimeout, "time for the review, as AMP_TIMEOUT; half of it with --validate")
	f.StringVar(&f.policy, "failure-policy", "", "Fail or Ignore; by default what the Namespace says, else Fail")
	f.BoolVar(&f.watch, "watch", false, "run again when a file changes, until interrupted")
	f.BoolVar(&f.cluster, "cluster", false, "read the Namespace's labels and annotations from the cluster")
	f.StringVar(&f.kubeconfigFile, "kubeconfig", "", "path to the kubeconfig file, for --cluster")
	f.StringVar(&f.contextName, "context", "", "context of the kubeconfig, for --cluster")
	f.StringVar(&f.colour, "color", "auto", "auto, always or never; auto respects NO_COLOR")
	f.format = f.output("diff", "yaml", "json", "patch", "words")
	if code, done := f.parse(args, 0); done {
		return code
	}
	err := f.check()
	if err == nil {
		f.asker, err = tryout.NewAsker(*ca, serve.Version())
	}
	if err != nil {
		return f.fail(err)
	}
	for {
		before := f.stamps()
		code := f.once(ctx)
		if !f.watch {
			return code
		}
		for f.same(before) {
			select {
			case <-ctx.Done():
				return code
			case <-time.After(300 * time.Millisecond):
			}
		}
		fmt.Fprintf(errs, "\n%s: a file changed\n", time.Now().Format("15:04:05"))
	}
}

// check says what is wrong with the flags.
func (f *tryFlags) check() error {
	switch {
	case len(f.files) == 0 && f.folder == "":
		return errors.New("name a manifest: -f FILE, or a kustomization: -k FOLDER")
	case len(f.files) > 0 && f.folder != "":
		return errors.New("-f and -k do not go together")
	case len(f.endpoints) == 0 && !f.cluster:
		return errors.New("name the endpoint: --endpoint URL, or --cluster for the Namespace's own")
	case f.watch && slices.Contains(f.files, "-"):
		return errors.New("--watch cannot watch stdin")
	case f.timeout <= 0:
		return fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 1500ms", f.timeout)
	}
	if err := oneOf("failure-policy", f.policy, "", "Fail", "Ignore"); err != nil {
		return err
	}
	return oneOf("color", f.colour, "auto", "always", "never")
}

func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	if allowed[0] == "" {
		allowed = allowed[1:]
	}
	return fmt.Errorf("--%s %q: allowed are %s", flag, value, andList(allowed))
}

// stamps are the times at which the files changed.
func (f *tryFlags) stamps() (all []string) {
	add := func(name string) {
		if info, err := os.Stat(name); err == nil {
			all = append(all, name, info.ModTime().String())
		}
	}
	for _, name := range f.files {
		add(name)
	}
	if f.folder != "" {
		_ = filepath.WalkDir(f.folder, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				add(name)
			}
			return nil
		})
	}
	return all
}

// same reports whether no file changed: the named ones, those in the folder, and what its kustomization was built of, which may
// be elsewhere.
func (f *tryFlags) same(before []string) bool {
	for name, changed := range f.built {
		if !manifest.Changed(name).Equal(changed) {
			return false
		}
	}
	return slices.Equal(before, f.stamps())
}

// tried is the result of one Pod, for scripts.
type tried struct {
	Source string `json:"source"`
	*tryout.Result
	// Again is what the endpoint wants of its own result, with --twice.
	Again *tryout.Result `json:"again,omitempty"`
}

// once asks about each Pod.
func (f *tryFlags) once(ctx context.Context) int {
	var m *manifest.Manifests
	var err error
	if f.folder != "" {
		m, err = manifest.Kustomize(f.folder, f.namespace, f.namespace != "")
		f.built = m.Files
	} else {
		m, err = manifest.Read(f.files, f.stdin, f.namespace, f.namespace != "")
	}
	if err != nil {
		return f.fail(err)
	}
	for _, skipped := range m.Skipped {
		fmt.Fprintf(f.errs, "%s: skipped, it creates no Pod\n", strings.Map(printable, skipped))
	}
	if len(m.Pods) == 0 {
		return f.fail(errors.New("no manifest creates a Pod: allowed are Pod, Deployment, ReplicaSet, ReplicationController, StatefulSet, DaemonSet, Job, CronJob and List"))
	}
	code := exitOK
	all := []tried{}
	for i := range m.Pods {
		one, err := f.one(ctx, &m.Pods[i])
		if err != nil {
			return f.fail(err)
		}
		all = append(all, one)
		code = max(code, one.code())
		if *f.format != "json" {
			if err := f.show(&one, len(m.Pods) > 1); err != nil {
				return f.fail(err)
			}
		}
	}
	if *f.format == "json" {
		if err := review.WriteJSON(f.out, map[string]any{"results": all}); err != nil {
			return f.fail(err)
		}
	}
	if hint := tryout.NotInCluster(ctx, f.endpoints); hint != "" {
		fmt.Fprintln(f.errs, "hint:", hint)
	}
	if slices.ContainsFunc(all, func(t tried) bool { return t.Loopback }) {
		fmt.Fprintln(f.errs, "hint: the Namespace's URL is on loopback, and others may write the Namespace. If you trust the URL, name it: --endpoint URL")
	}
	if slices.ContainsFunc(all, func(t tried) bool { return t.UnknownCA }) {
		fmt.Fprintln(f.errs, "hint: this command knows the CAs of --ca FILE, as amp in a cluster knows those of AMP_ENDPOINT_CA; without it, the system's")
	}
	return code
}

// code is the exit code of a result.
func (t *tried) code() int {
	switch {
	case t.NotThere:
		return exitUsage
	case t.Failed(), t.Again != nil && (t.Again.Failed() || len(t.Again.Ops) > 0):
		return exitFailed
	}
	return exitOK
}

// one asks about one Pod.
func (f *tryFlags) one(ctx context.Context, pod *manifest.Pod) (tried, error) {
	q := &tryout.Question{
		Pod: pod.JSON, Namespace: pod.NamespaceOf(), Phase: review.Mutate, Endpoints: f.endpoints, User: pod.User, Groups: pod.Groups, Creator: pod.Creator,
		DryRun: f.dry, FailurePolicy: review.FailurePolicy(f.policy), Timeout: f.timeout,
	}
	if f.validate {
		q.Phase = review.Validate
	}
	if f.user != "" {
		q.User, q.Groups, q.Creator = f.user, []string{"system:authenticated"}, ""
	}
	if len(f.groups) > 0 {
		q.Groups = f.groups
	}
	if f.cluster {
		var err error
		if q.Labels, q.Annotations, err = f.namespaceOf(ctx, q.Namespace); err != nil {
			return tried{}, err
		}
	}
	result, err := f.asker.Ask(ctx, q)
	if err != nil {
		return tried{}, err
	}
	if why := q.NotAsked(); why != "" {
		fmt.Fprintf(f.errs, "hint: in a cluster, amp is not asked about %s: %s\n", strings.Map(printable, pod.Source), why)
	}
	t := tried{Source: pod.Source, Result: result}
	if f.twice && !result.Failed() {
		if t.Again, err = f.asker.Again(ctx, q, result); err != nil {
			return tried{}, err
		}
	}
	return t, nil
}

// namespaceOf reads the labels and annotations of a Namespace from the cluster.
func (f *tryFlags) namespaceOf(ctx context.Context, name string) (labels, annotations map[string]string, err error) {
	// A manifest may be someone else's, and a name like ../nodes would be another path.
	if why := validation.IsDNS1123Label(name); len(why) > 0 {
		return nil, nil, fmt.Errorf("--cluster: %.100q cannot be the name of a namespace: %s", name, why[0])
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfigFile
	k := &kubeconfig{rules, &clientcmd.ConfigOverrides{CurrentContext: f.contextName}}
	config, source, err := k.load()
	if no := (*doctor.NotAsked)(nil); errors.As(err, &no) {
		return nil, nil, fmt.Errorf("--cluster: %s: %s", no.Message, strings.ReplaceAll(strings.ReplaceAll(no.Remedy, "\n", " "), "kubectl amp doctor", "kubectl amp try"))
	} else if err != nil {
		return nil, nil, err
	}
	config.Timeout = 10 * time.Second
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("--cluster: %w", err)
	}
	ns, err := client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Get(ctx, name, metav1.GetOptions{})
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // its text holds the whole URL
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--cluster: reading namespace %s (%s): %w", name, source, err)
	}
	labels, annotations = ns.Labels, ns.Annotations
	if labels == nil {
		labels = map[string]string{}
	}
	return labels, annotations, nil
}
