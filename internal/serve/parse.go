package serve

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// The functions of this file parse the value of a variable. With an error they return the zero value.

// errBad is the error of a value if the table of variables says what is allowed.
var errBad = errors.New("bad value")

func oneOf[T ~string](v string, allowed ...T) (T, error) {
	if !slices.Contains(allowed, T(v)) {
		return "", errBad
	}
	return T(v), nil
}

func port(v string) (string, error) {
	if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
		return "", errBad
	}
	return v, nil
}

func duration(v string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		return 0, errBad
	}
	return d, nil
}

func number(v string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > most {
		return 0, errBad
	}
	return n, nil
}

// split splits at white space and commas.
func split(v string) []string { return strings.Fields(strings.ReplaceAll(v, ",", " ")) }

// maxNames is the most names that a list may have.
const maxNames = 100

// list returns the entries of a list, which must not be empty and of which each must be good.
func list(v string, good func(string) bool) ([]string, error) {
	entries := split(v)
	bad := func(entry string) bool { return !good(entry) }
	if len(entries) == 0 || len(entries) > maxNames || slices.ContainsFunc(entries, bad) {
		return nil, errBad
	}
	return entries, nil
}

func isObjectName(s string) bool { return len(validation.IsDNS1123Subdomain(s)) == 0 }

func objectName(v string) (string, error) {
	names, err := objectNames(v)
	if err != nil || len(names) != 1 {
		return "", errBad
	}
	return names[0], nil
}

func objectNames(v string) ([]string, error) { return list(v, isObjectName) }

func hostNames(v string) ([]string, error) {
	return list(v, func(s string) bool { return isObjectName(s) || net.ParseIP(s) != nil })
}

// fileName parses the name of a file. A URL is not one, and errors about a file show its name.
func fileName(v string) (string, error) {
	if strings.Contains(v, "://") {
		return "", errBad
	}
	return v, nil
}

// rules parses AMP_ENDPOINT_ALLOW. Without an entry, the rules would be the default, which the operator has not left.
func rules(v string) (callout.Rules, error) {
	entries := split(v)
	if len(entries) == 0 {
		return callout.Rules{}, errors.New("AMP_ENDPOINT_ALLOW: a list without an entry; " + callout.AllowedEntries)
	}
	return callout.ParseRules(entries...)
}

// checker parses AMP_PATCH_DENY. Without an entry, nothing would be denied, which none says in so many words.
func checker(v string) (*patch.Checker, error) {
	if v == "none" {
		return patch.New(nil)
	}
	entries := split(v)
	if len(entries) == 0 {
		return nil, errors.New("AMP_PATCH_DENY: a list without an entry; allowed are JSON pointers such as /spec/nodeName, and none")
	}
	c, err := patch.New(entries)
	switch {
	case err != nil && review.MayHoldURL(v):
		return nil, errors.New("AMP_PATCH_DENY: allowed are JSON pointers such as /spec/nodeName, and none")
	case err != nil:
		return nil, errors.New("AMP_PATCH_DENY: " + strings.ReplaceAll(err.Error(), "\n", "\nAMP_PATCH_DENY: "))
	}
	return c, nil
}

// sink parses K_SINK. Its error does not repeat the value, which may hold a password.
func sink(v string) (*url.URL, error) {
	u, err := review.ParseURL(v)
	if err != nil {
		return nil, fmt.Errorf("K_SINK: the URL %w; allowed: an http or https URL", err)
	}
	return u, nil
}

// roots parses K_CA_CERTS. As for Knative's own sources, its CAs are trusted besides the system's.
func roots(v string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM([]byte(v)) {
		return nil, errors.New("K_CA_CERTS: allowed: certificates in PEM; it holds none")
	}
	return pool, nil
}

// source parses AMP_EVENTS_SOURCE. Its error does not repeat the value. The source is shown in every event, so it cannot
// hold userinfo.
func source(v string) (types.URIRef, error) {
	u, err := url.Parse(v)
	if err != nil || v != u.String() || u.User != nil {
		return types.URIRef{}, errors.New("AMP_EVENTS_SOURCE: allowed: a URI without userinfo")
	}
	return types.URIRef{URL: *u}, nil
}

func metricsAddr(v string) (string, error) {
	if v == "off" {
		return "", nil
	}
	_, n, err := net.SplitHostPort(v)
	if err != nil {
		return "", errBad
	}
	if _, err := strconv.ParseUint(n, 10, 16); err != nil {
		return "", errBad
	}
	return v, nil
}

func logLevel(v string) (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(v))
	return level, err
}
