package callout

import (
	"bytes"
	"regexp"
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
	pre   = regexp.MustCompile(`(?is)<pre[^>]*>(.*?)(<|$)`)

	entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&#39;", "'", "&#x27;", "'", "&nbsp;", " ", "&amp;", "&")
)

// pageTitle returns the title of an HTML page in one line. Express calls every page "Error": there it is the first line of
// its text.
func pageTitle(page []byte) string {
	text := func(expression *regexp.Regexp) string {
		found := expression.FindSubmatch(page[:min(len(page), maxSearch)])
		if found == nil {
			return ""
		}
		return review.Line(strings.ToValidUTF8(entities.Replace(string(found[1])), " "))
	}
	if t := text(title); t != "" && t != "Error" {
		return t
	}
	return text(pre)
}
