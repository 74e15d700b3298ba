package namespaces

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/txn2/amp/internal/review"
)

// maxEndpoints is the most endpoints of a chain. The deadline of the review holds for all of them together.
const maxEndpoints = 16

// SplitURLs splits a list of URLs. White space separates them. A comma separates them only if a URL begins after it and
// after white space: URLs may contain commas, in userinfo, path and query (RFC 3986). To split there would show half of
// a password as a bad URL.
func SplitURLs(list string) []string {
	var all []string
	begin := 0
	cut := func(end, next int) {
		if end > begin {
			all = append(all, list[begin:end])
		}
		begin = next
	}
	for i, r := range list {
		switch {
		case i < begin:
		case unicode.IsSpace(r):
			cut(i, i+len(string(r)))
		case r == ',':
			if rest := strings.TrimLeftFunc(list[i+1:], unicode.IsSpace); review.BeginsURL(rest) {
				cut(i, len(list)-len(rest))
			}
		}
	}
	cut(len(list), len(list))
	return all
}

// endpoints reads the URLs of a chain, or with most == 1 a single URL. Its error names each bad URL by its position,
// and shows no part of it. With an error there are no endpoints: where one URL of a list is bad, the list may have
// been cut within a URL, and the other parts may be parts of a secret.
func endpoints(list string, most int) ([]review.Endpoint, error) {
	texts := SplitURLs(list)
	switch {
	case len(texts) > most && most == 1:
		return nil, fmt.Errorf("it names %d URLs; allowed is one http or https URL", len(texts))
	case len(texts) > most:
		return nil, fmt.Errorf("it names %d URLs; allowed are at most %d", len(texts), most)
	}
	var all []review.Endpoint
	var faults []string
	for i, text := range texts {
		u, err := review.ParseURL(text)
		if err != nil {
			faults = append(faults, fmt.Sprintf("URL %d of %d %v", i+1, len(texts), err))
			continue
		}
		all = append(all, review.NewEndpoint(u))
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, ", ") + "; allowed are http and https URLs separated by white space")
	}
	return all, nil
}

// creators reads a list of usernames, which white space or commas separate. An entry in double quotes may contain any
// character: a distinguished name has commas and spaces. In it, two double quotes stand for one. A * is a glob in and
// out of quotes.
func creators(list string) (review.Globs, error) {
	var all review.Globs
	for rest := list; ; {
		if rest = strings.TrimLeftFunc(rest, separates); rest == "" {
			break
		}
		number := len(all) + 1
		var entry string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if entry, rest, ok = cutQuoted(quoted); !ok {
				return nil, fmt.Errorf("entry %d has no closing quote", number)
			}
			if next := strings.TrimLeftFunc(rest, separates); next == rest && next != "" {
				return nil, fmt.Errorf("entry %d goes on after its closing quote; put all of it in the quotes", number)
			}
		} else {
			end := strings.IndexFunc(rest, separates)
			if end < 0 {
				end = len(rest)
			}
			if entry, rest = rest[:end], rest[end:]; strings.Contains(entry, `"`) {
				return nil, fmt.Errorf("entry %d has a quote in its middle; put all of it in the quotes, and write two for one in it", number)
			}
		}
		if strings.TrimSpace(entry) == "" {
			return nil, fmt.Errorf("entry %d is empty", number)
		}
		all = append(all, entry)
	}
	if len(all) == 0 {
		return nil, errors.New("it names no user")
	}
	return all, nil
}

func separates(r rune) bool { return r == ',' || unicode.IsSpace(r) }

// cutQuoted cuts a text after the quote that closes it.
func cutQuoted(text string) (inside, rest string, closed bool) {
	var all strings.Builder
	for {
		end := strings.IndexByte(text, '"')
		if end < 0 {
			return "", "", false
		}
		all.WriteString(text[:end])
		if text = text[end+1:]; !strings.HasPrefix(text, `"`) {
			return all.String(), text, true
		}
		all.WriteByte('"')
		text = text[1:]
	}
}
