package callout

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// isHTML reports whether a body is an HTML page, by its media type or by its first tag.
func isHTML(mediaType string, body []byte) bool {
	begin := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 512)]))
	return len(begin) > 0 && begin[0] == '<' && (mediaType == "text/html" || mediaType == "application/xhtml+xml") ||
		bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}

var (
	title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`)
	// The text below the title, as Express and Python's http.server write it.
	below = regexp.MustCompile(`(?is)(?:<pre[^>]*>|<p>Message: )(.*?)(?:<|$)`)

	numbered = regexp.MustCompile(`&#(x[0-9a-fA-F]{1,6}|[0-9]{1,7});`)
	entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&nbsp;", " ", "&amp;", "&")
)

// pageTitle returns the title of an HTML page in one line. Express calls every page "Error", and Python's http.server
// "Error response": there it is the first line of the text below.
func pageTitle(page []byte) string {
	text := func(expression *regexp.Regexp) string {
		found := expression.FindSubmatch(page[:min(len(page), maxSearch)])
		if found == nil {
			return ""
		}
		return review.Line(strings.ToValidUTF8(entities.Replace(numbered.ReplaceAllStringFunc(string(found[1]), character)), " "))
	}
	if t := text(title); t != "" && t != "Error" && t != "Error response" {
		return t
	}
	return text(below)
}

// character returns the character for a reference by its number, as &#34; or &#x2F;.
func character(reference string) string {
	digits, base := reference[len("&#"):len(reference)-1], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	number, err := strconv.ParseInt(digits, base, 32)
	if err != nil {
		return reference
	}
	return string(rune(number))
}
