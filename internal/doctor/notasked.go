package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// NotAsked is why nothing could be checked: there is no cluster to ask, it does not answer, or it does not let this user
// ask.
type NotAsked struct {
	Subject string // what was tried: kubeconfig/PATH, or the URL of the API server
	Message string
	Remedy  string // as in [Finding]
	Err     error  // of the library; its text may hold more than may be shown
}

func (e *NotAsked) Error() string { return e.Message }

func (e *NotAsked) Unwrap() error { return e.Err }

// notAskedID is the id of the finding that a [NotAsked] becomes.
const notAskedID = "cluster"

// Report is the report with the one finding that nothing could be checked, so that scripts read the same fields.
func (e *NotAsked) Report(version string) *Report {
	return &Report{
		Version: version,
		Checks:  []Finding{{ID: notAskedID, Subject: e.Subject, Status: Failed, Message: e.Message, Remedy: e.Remedy}},
		Summary: Summary{Failed: 1},
	}
}

// WriteText writes the message and the remedy for people.
func (e *NotAsked) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, line := range wrap(e.Message, width) {
		b.WriteString(line + "\n")
	}
	writeRemedy(&b, "", e.Remedy)
	_, err := io.WriteString(w, b.String())
	return err
}

// maxCause is the most characters of a library's error in a message.
const maxCause = 300

// notAsked says why the API server could not be asked. does begins the message: what the API server does not do.
func (o *Options) notAsked(does string, err error) *NotAsked {
	server, valid := serverOf(o.Config.Host)
	cause, remedy := "its URL is not valid", "correct server in the kubeconfig. This shows it:\nkubectl config view --minify"
	if valid { // the texts of libraries quote a URL that is not, whatever is in it
		cause, remedy = whyNotAsked(err, o.Timeout)
	}
	message := fmt.Sprintf("the API server %s %s: %s", server, does, review.Clip(review.Line(cause), maxCause))
	if o.Source != "" {
		message += " (" + o.Source + ")"
	}
	return &NotAsked{Subject: server, Message: strings.ReplaceAll(message, "  ", " "), Remedy: withFlags(remedy, o.Flags), Err: err}
}

// interrupted is notAsked for a context that ended.
func (o *Options) interrupted(err error) *NotAsked {
	server, _ := serverOf(o.Config.Host)
	return &NotAsked{Subject: server, Message: "interrupted before all was checked", Err: err}
}

// serverOf is the URL of an API server without userinfo, path and query. It is empty if it is not valid.
func serverOf(host string) (server string, valid bool) {
	u, _, err := rest.DefaultServerURL(host, "", schema.GroupVersion{}, false)
	if err != nil {
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}

const (
	anotherCluster = "or name another cluster: --context NAME, of those that this lists:\nkubectl config get-contexts"
	anotherServer  = "correct server in the kubeconfig. This shows it:\nkubectl config view --minify\n" + anotherCluster
	freshConfig    = "get a new kubeconfig for this cluster from where you got it, " + anotherCluster
)

// whyNotAsked says why a request to the API server failed, and what to do. It uses the texts of errors that hold no URL.
func whyNotAsked(err error, within time.Duration) (cause, remedy string) {
	var (
		status    apierrors.APIStatus
		lookup    *net.DNSError
		timeout   net.Error
		unknown   x509.UnknownAuthorityError
		name      x509.HostnameError
		untrusted *tls.CertificateVerificationError
		alert     tls.AlertError
		wrapped   *url.Error
	)
	if errors.As(err, &wrapped) {
		err = wrapped.Err // its text holds the whole URL
	}
	text := err.Error()
	switch {
	case apierrors.IsUnauthorized(err):
		return "it does not accept these credentials (401)", "log in again, in the way that your cluster's provider says. This shows whether it worked:\nkubectl auth whoami"
	case apierrors.IsForbidden(err):
		return text + " (403)", "ask an administrator of the cluster for that right, or use an account that has it (--context, --user, --as)"
	case errors.As(err, &status) && strings.Contains(body(status), "HTTP request to an HTTPS server"):
		return "it speaks HTTPS, and was called with http://", "write https:// into server of the kubeconfig. This shows it:\nkubectl config view --minify"
	case errors.As(err, &status) && status.Status().Code >= 500:
		return fmt.Sprintf("it answers %d: %s", status.Status().Code, text), "wait until it is well. This says what it lacks:\nkubectl get --raw '/readyz?verbose'"
	case errors.As(err, &status):
		return fmt.Sprintf("what answers there (%d) is not a Kubernetes API server: %s", status.Status().Code, text), anotherServer
	case errors.As(err, new(*json.SyntaxError)), errors.As(err, new(*json.UnmarshalTypeError)):
		return "what answers there is not a Kubernetes API server", anotherServer
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that the kubeconfig does not hold", freshConfig
	case errors.As(err, &name):
		return "its certificate is not for that name, only for " + cmp.Or(strings.Join(name.Certificate.DNSNames, ", "), "no name"),
			"call it by one of its names: server or tls-server-name in the kubeconfig, " + anotherCluster
	case errors.As(err, &untrusted):
		return "its certificate is not valid: " + strings.TrimPrefix(untrusted.Err.Error(), "x509: "), "renew the certificate of the API server, " + anotherCluster
	case errors.As(err, &alert), strings.Contains(text, "remote error: tls:"):
		return "it ended the TLS handshake: " + text, freshConfig
	case strings.Contains(text, "HTTP response to HTTPS client"):
		return "it does not speak TLS", "if that is the API server, write http:// into server of the kubeconfig. This shows it:\nkubectl config view --minify\n" + anotherCluster
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %s cannot be looked up", lookup.Name), "check the network (a VPN?) and server in the kubeconfig, " + anotherCluster
	case outbound.Refused(err):
		return "connection refused", "start the cluster, " + anotherCluster
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + within.String(), "check the network (a VPN, a proxy, a firewall?), or give it more time: --timeout 60s"
	case strings.Contains(text, "getting credentials: "):
		return text, "the kubeconfig names a program that logs in (users[].user.exec): install it, or repair it. This shows it:\nkubectl config view --minify"
	}
	return text, "check the network and the kubeconfig. This asks the same server:\nkubectl version"
}

// body is what client-go keeps of an answer that is not a Status.
func body(status apierrors.APIStatus) string {
	var all []string
	if d := status.Status().Details; d != nil {
		for _, c := range d.Causes {
			all = append(all, c.Message)
		}
	}
	return strings.Join(all, " ")
}
