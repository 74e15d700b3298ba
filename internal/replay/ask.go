package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// newClient returns a client that follows no redirect, and puts the token into the header.
func (a *audit) newClient(scheme string, config AuditConfig) (*http.Client, error) {
	roots, err := outbound.CAsOf(config.CAFile)
	if err != nil {
		return nil, err
	}
	transport := outbound.NewTransport(roots)
	transport.Proxy = http.ProxyFromEnvironment
	dialer := &net.Dialer{Timeout: outbound.ConnectTimeout}
	if config.TokenFile != "" {
		token, err := outbound.Token("--token-file", config.TokenFile, func(error) {})
		if err != nil {
			return nil, err
		}
		a.header.Set("Authorization", token.Get())
		if scheme == "http" {
			dialer.Control, transport.Proxy = outbound.PrivateOnly("the token goes over http to private addresses and loopback only: use https"), nil
		}
	}
	transport.DialContext = dialer.DialContext
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// errGone says that the audit function does not have an event any more.
var errGone = errors.New("there is no such event any more")

// get asks the API, and again while it has too much to do. read gets at most so many bytes of the answer.
func (a *audit) get(ctx context.Context, path string, query url.Values, most int64, read func(io.Reader) error) error {
	var again bool
	var err error
	for try := range tries {
		if again, err = a.try(ctx, path, query, most, read); !again || try == tries-1 || !outbound.Pause(ctx, a.pause<<try, 0) {
			break
		}
	}
	switch {
	case err == nil || errors.Is(err, errGone):
		return err
	case ctx.Err() != nil:
		return errors.New("interrupted")
	}
	return fmt.Errorf("the audit function at %s %w", a.name, err)
}

// try asks the API once. again says that the same question may be answered later.
func (a *audit) try(ctx context.Context, path string, query url.Values, most int64, read func(io.Reader) error) (again bool, err error) {
	u := a.api
	u.RawQuery = query.Encode()
	if path != "" {
		u.RawPath = u.EscapedPath() + path
		if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
			return false, err
		}
	}
	req := (&http.Request{Method: http.MethodGet, URL: &u, Header: a.header}).WithContext(ctx)
	resp, err := a.client.Do(req)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // its text holds the whole URL
		}
		var network *net.OpError
		return !errors.As(err, &network) || network.Op != "dial", fmt.Errorf("cannot be asked: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		if err := read(&limited{resp.Body, most}); err != nil {
			return false, fmt.Errorf("gave an answer that cannot be read (is it the audit function's address?): %w", err)
		}
		return false, nil
	}
	var problem struct{ Error string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&problem)
	said := ""
	if problem.Error != "" {
		said = ": " + review.Clip(review.Line(problem.Error), 300)
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return false, errors.New("wants a token to read: name the file that holds it with --token-file, or another file if there is one already")
	case http.StatusNotFound:
		if path != "" {
			return false, errGone
		}
		said += ": is it the audit function's address?"
	}
	return resp.StatusCode == http.StatusServiceUnavailable, fmt.Errorf("answered %s%s", resp.Status, said)
}
