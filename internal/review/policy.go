package review

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// Policy is what a Namespace says about its Pods, parsed once per change of the Namespace.
type Policy struct {
	Enabled bool // opted in; if not, amp does nothing and the rest is empty
	// FailurePolicy is the label's, empty where the Namespace does not say.
	FailurePolicy FailurePolicy
	Shadow        bool // call, check and record, but change nothing and deny nothing

	Mutate, Validate []Endpoint // in the order they are called

	Pods     labels.Selector // the Pods that are forwarded; nil: all
	Creators Globs           // who may create those Pods; nil: anyone
	Timeout  time.Duration   // for the whole chain; 0 where the Namespace does not say
	Events   Level           // at most this level; empty where the Namespace does not say

	// Err names every bad value of the Namespace, nil if there is none. What did parse is still set, so that
	// shadow mode or a selector holds although another key is wrong.
	Err error
}

// Level says how much an event tells of a mutation.
type Level string

// The levels, each holding what the one before holds. The zero value means that nobody said.
const (
	LevelNone     Level = "None"
	LevelMetadata Level = "Metadata"
	LevelPatch    Level = "Patch"
	LevelFull     Level = "Full"
)

// Levels lists the levels from the one that tells least.
var Levels = []Level{LevelNone, LevelMetadata, LevelPatch, LevelFull}

// Lower is the one of l and other that tells less, where the zero value leaves it to the other.
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
	// Name is the URL without userinfo, query and fragment: the only form in which it may be shown.
	Name string
}

// NewEndpoint returns the endpoint at u.
func NewEndpoint(u *url.URL) Endpoint {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return Endpoint{URL: u, Name: shown.String()}
}

// Globs is a list of patterns in which * stands for any run of characters.
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

// globMatch is linear in len(s) for each star: what comes before the first star must begin s, what comes
// after the last must end it, and the parts between are found greedily from the left. path.Match would
// stop at a slash and give brackets a meaning.
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
