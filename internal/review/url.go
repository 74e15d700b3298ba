package review

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseURL reads the http or https URL of an endpoint or of an event sink. Its error says what is wrong, as the end of
// a sentence that begins with "URL 2 of 3". It holds no part of the text: userinfo, query and fragment can be secrets,
// and no rule tells them apart in a text that is not a URL. The errors of net/url quote what they cannot read.
//
// It refuses more than net/url does: ports that do not exist, and hosts that no name server and no dialer takes.
func ParseURL(text string) (*url.URL, error) {
	if !BeginsURL(text) {
		return nil, errors.New("does not begin with http:// or https://")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, errors.New("holds white space or a control character; percent-encode it")
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, urlFault(err)
	}
	if u.Hostname() == "" {
		return nil, errors.New("has no host")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errBadPort
		}
	}
	if !isHost(u.Hostname(), strings.HasPrefix(u.Host, "[")) {
		return nil, errBadHost
	}
	if hidesUserinfo(u.EscapedPath()) {
		return nil, errors.New("has in its path an @ or another URL; in userinfo, percent-encode /, in a path, @, and begin each URL with http:// or https://")
	}
	return u, nil
}

// hidesUserinfo reports whether a path may hold userinfo that its author did not mean as a path, which messages show:
//
//	http://user:1/secret@hook/       a password with a slash
//	http://a/m,htp://u:secret@b/     a second URL, misspelt, so that the comma before it does not separate
//
// An @ at the beginning of a segment (/@scope/name) is not taken for one.
func hidesUserinfo(path string) bool {
	if _, behind, found := strings.Cut(path, ","); found && strings.Contains(behind, "://") {
		return true
	}
	for i := range len(path) {
		if path[i] == '@' && i > 0 && path[i-1] != '/' {
			return true
		}
	}
	return false
}

var (
	errBadPort = errors.New("has a bad port (1 to 65535); in a password, percent-encode / ? # and @")
	errBadHost = errors.New("has a host that is neither a name nor an address")
)

// urlFault says in amp's own words why net/url does not parse a URL. net/url has types for two of its errors only.
func urlFault(err error) error {
	var escape url.EscapeError
	var host url.InvalidHostError
	cause := err
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		cause = wrapped.Err
	}
	switch text := cause.Error(); {
	case errors.As(err, &escape):
		return errors.New("has a % that two hexadecimal digits must follow; write %25")
	case errors.As(err, &host):
		return errBadHost
	case strings.HasPrefix(text, "invalid port"):
		return errBadPort
	case strings.Contains(text, "userinfo"):
		return errors.New("has userinfo with a character that must be percent-encoded")
	case strings.Contains(text, "]"), strings.HasPrefix(text, "invalid host"), strings.HasPrefix(text, "invalid IP"):
		return errBadHost
	}
	return errors.New("does not parse as a URL")
}

// isHost reports whether a host is a name or an address. A name may hold any letter, and the underscore, which some
// name servers know. It may hold nothing that a terminal or a page obeys instead of showing it: net/url decodes %C2%9B to the
// character that begins a terminal's commands, and %E2%80%AE to the one that turns a text round. An address in brackets is one
// of IPv6, without a zone: a zone means something on one machine only.
func isHost(host string, brackets bool) bool {
	if brackets {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Is6() && ip.Zone() == ""
	}
	return utf8.ValidString(host) && !strings.ContainsFunc(host, func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// BeginsURL reports whether a text begins with http:// or https://, in any case.
func BeginsURL(text string) bool {
	begins := func(scheme string) bool {
		return len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme)
	}
	return begins("http://") || begins("https://")
}

// MayHoldURL reports whether a text can be a URL, or a part of one, with userinfo, query or fragment. Messages do not
// repeat such a text, whatever it was meant as.
func MayHoldURL(text string) bool {
	return strings.Contains(text, "://") || strings.ContainsAny(text, "@?#")
}
