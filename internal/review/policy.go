package review

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"
	"k8s.io/apimachinery/pkg/labels"
)

// Policy is what a Namespace says about its Pods, parsed once per change of the Namespace.
type Policy struct {
	Enabled bool // opted in; if not, amp does nothing and the rest is empty
	// FailurePolicy is the label's, empty if the Namespace has none.
	FailurePolicy FailurePolicy
	Shadow        bool // call, check and record, but change nothing and deny nothing

	Mutate, Validate []Endpoint // in the order they are called
	Candidate        *Endpoint  // a new version of the mutation endpoints, called after the answer; nil if there is none

	Pods     labels.Selector // the Pods that are forwarded; nil: all
	Creators Globs           // who may create those Pods; nil: anyone
	Timeout  time.Duration   // of the whole chain; 0 if the Namespace sets none
	Events   Level           // at most this level; empty if the Namespace sets none

	FailUnknownFields bool // a patch that brings a field which a Pod does not have fails; if not, the user is warned

	// Err names every bad value of the Namespace, nil if there is none. Values that parse are set nevertheless, so that
	// shadow mode or a selector works although another key has a bad value.
	Err error
}

// Endpoints are those that the namespace wants called in a phase.
func (p *Policy) Endpoints(phase Phase) []Endpoint {
	if phase == Validate {
		return p.Validate
	}
	return p.Mutate
}

// Level says how much an event tells about a review.
type Level string

// The levels. Each one also holds what the one before holds. The zero value means that none is set.
const (
	LevelNone     Level = "None"
	LevelMetadata Level = "Metadata"
	LevelPatch    Level = "Patch"
	LevelFull     Level = "Full"
)

// Levels lists the levels; the first one tells least.
var Levels = []Level{LevelNone, LevelMetadata, LevelPatch, LevelFull}

// Lower is the one of l and other that tells less. If one of them is not set, it is the other.
func (l Level) Lower(other Level) Level {
	switch {
	case other == "":
		return l
	case l == "":
		return other
	}
	return Levels[min(slices.Index(Levels, l), slices.Index(Levels, other))]
}

// Endpoint is an HTTP endpoint that a Namespace names.
type Endpoint struct {
	URL *url.URL
	// Name is the URL without userinfo, query and fragment. amp shows an endpoint's URL in this form only.
	Name string
	// Host is the URL's host in one spelling, with its port if that is not the scheme's: metrics count by it.
	Host string
}

// NewEndpoint returns the endpoint at u.
func NewEndpoint(u *url.URL) Endpoint {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return Endpoint{URL: u, Name: shown.String(), Host: canonicalHost(u)}
}

// canonicalHost writes a host in lower case without a dot at its end, characters beyond ASCII as DNS has them, and a port
// without zeros before it.
func canonicalHost(u *url.URL) string {
	host := punycode(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")))
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := strings.TrimLeft(u.Port(), "0")
	if port == "" || port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		return host
	}
	return host + ":" + port
}

// punycode writes each part of a host that has characters beyond ASCII in the form xn--…. It leaves alone the parts that have it:
// idna would decode them, and xn--hook- would pass as hook. Characters that a look-up takes for others (letters of full width, ü
// as u with a mark) stay what they are: the tables for that would add 98 kB to amp.
func punycode(host string) string {
	if !strings.ContainsFunc(host, beyondASCII) {
		return host
	}
	parts := strings.Split(host, ".")
	for i, part := range parts {
		if !strings.ContainsFunc(part, beyondASCII) {
			continue
		}
		if encoded, err := idna.Punycode.ToASCII(part); err == nil {
			parts[i] = encoded
		}
	}
	return strings.Join(parts, ".")
}

func beyondASCII(r rune) bool { return r > unicode.MaxASCII }

// Globs is a list of patterns, in which * stands for any number of any characters.
type Globs []string

// Match reports whether s matches one of the patterns.
func (g Globs) Match(s string) bool {
	for _, pattern := range g {
		if globMatch(pattern, s) {
			return true
		}
	}
	return false
}

// globMatch takes time linear in len(s) for each star. The part before the first star must be a prefix of s, the part after
// the last star a suffix, and the parts between are found one after the other from the left. path.Match does not fit: its
// star stops at a slash, and it gives brackets a meaning.
func globMatch(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, middle, last := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	for _, part := range middle {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last)
}
