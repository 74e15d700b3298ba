package doctor

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/txn2/amp/internal/review"
)

// unasked is the error of a request without whose answer nothing can be checked.
type unasked struct {
	does string // what the API server does not do, in words
	err  error
}

func (e *unasked) Error() string { return e.does + ": " + e.err.Error() }

func (e *unasked) Unwrap() error { return e.err }

// gather reads everything but the dry runs. It returns an error, which is an *unasked, only if nothing can be checked:
// there is no API server, or no right to read webhook configurations.
func (c *cluster) gather(ctx context.Context, namespace string) (*observed, error) {
	s := &observed{now: time.Now()}
	var err error
	if s.kubernetes, err = c.version(ctx); err != nil {
		return nil, &unasked{"cannot be asked", err}
	}
	s.mutating, s.validating = c.webhooks(ctx)
	if s.mutating.err != nil && s.validating.err != nil {
		return nil, &unasked{"does not list its webhook configurations", s.mutating.err}
	}
	c.gatherInstallation(ctx, s, namespace)
	c.gatherNamespaces(ctx, s)
	return s, nil
}

// gatherInstallation reads what belongs to amp itself. Each line depends on those above it: the webhooks name the
// Service, the Service selects the Deployments, and these say where amp's settings come from.
func (c *cluster) gatherInstallation(ctx context.Context, s *observed, namespace string) {
	s.gone = c.gone(ctx, s.targets())
	to := s.target()
	namespace = cmp.Or(namespace, to.service.Namespace, review.InstallNamespace)
	if to.service.Name != "" {
		s.service = *c.backend(ctx, to.service, false)
	}
	s.deployments = c.deployments(ctx, namespace, s.service.service.value)
	s.pods = c.podsOf(ctx, namespace, s.deployments.value)
	s.replicaSets = c.replicaSets(ctx, namespace, s.deployments.value)
	s.states = c.states(ctx, s.pods.value)
	s.settings = readSettings(s.container(), c.configMaps(ctx, namespace, s.container()))
	s.circuits = c.circuits(ctx, s.pods.value, s.settings.config.MetricsAddr)
	wanted := containerOf(s.wantedTemplate())
	s.wanted = readSettings(wanted, c.configMaps(ctx, namespace, wanted))
	s.fix = remediesFor(s, namespace)
	if account := s.account(); account != "" {
		s.accountMissing = c.accountMissing(ctx, namespace, account)
		s.access = c.access(ctx, namespace, account, needed(namespace, s.wanted.config))
	}
	s.sink = c.sink(ctx, namespace, s.settings.config.Sink)
	s.certificates = c.certificates(ctx, to, s.service, s.fix.secret)
}

var errNamespacesFile = errors.New("amp reads its Namespaces from a file (AMP_NAMESPACES_FILE)")

// gatherNamespaces reads the namespaces, and what their endpoints lead to.
func (c *cluster) gatherNamespaces(ctx context.Context, s *observed) {
	if s.settings.config.NamespacesFile != "" {
		s.namespaces.err = errNamespacesFile
		return
	}
	s.namespaces = c.namespaces(ctx)
	s.destinations = c.destinations(ctx, s.fix.namespace, s.namespaces.value)
	s.destinations.apiServer = c.apiServer(ctx)
	s.destinations.setRules(&s.settings)
}
