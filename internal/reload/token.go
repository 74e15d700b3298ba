package reload

import (
	"bytes"
	"fmt"
)

// Token reads a file that holds a bearer token, for the environment variable that names the file: it is the value of the
// header Authorization. failed is as for [New].
func Token(variable, path string, failed func(error)) (*Files[string], error) {
	token, err := New(func(contents [][]byte) (string, error) {
		token := bytes.TrimSpace(contents[0])
		switch {
		case len(token) == 0:
			return "", fmt.Errorf("%s is empty (%s)", path, variable)
		case !printable(token):
			return "", fmt.Errorf("%s does not hold a token: a token is one line of ASCII (%s)", path, variable)
		}
		return "Bearer " + string(token), nil
	}, failed, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return token, nil
}

// printable reports whether b can be a header value as it is.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c > '~' {
			return false
		}
	}
	return true
}
