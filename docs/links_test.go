package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var (
	inlineLink    = regexp.MustCompile(`\]\(<?([^()<>\s]+)>?(?:\s+"[^"]*")?\)`)
	referenceLink = regexp.MustCompile(`(?m)^\[[^\]]+\]:\s+(\S+)`)
	imageLink     = regexp.MustCompile(`<img[^>]*\ssrc="([^"]+)"`)
	codeSpan      = regexp.MustCompile("`[^`\n]*`")
	titleLine     = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *#*$`)
)

// onGitHub is how a page names a file of the repository where a relative link would not work.
const onGitHub = "https://github.com/txn2/amp/blob/main/"

// TestLinks checks each link from one page to another file of the repository, and to a heading in it.
func TestLinks(t *testing.T) {
	all := pages(t)
	anchors := map[string]map[string]bool{}
	for page, text := range all {
		anchors[page] = anchorsOf(text)
	}
	checked := 0
	for page, text := range all {
		text = codeSpan.ReplaceAllString(prose(text), "``")
		for _, links := range []*regexp.Regexp{inlineLink, referenceLink, imageLink} {
			for _, m := range links.FindAllStringSubmatch(text, -1) {
				target, anchor, _ := strings.Cut(m[1], "#")
				inside, ours := strings.CutPrefix(target, onGitHub)
				switch {
				case ours:
					target = inside
				case strings.Contains(target, "://"), strings.HasPrefix(target, "mailto:"):
					continue
				case target == "":
					target = page
				default:
					target = path.Join(path.Dir(page), target)
				}
				checked++
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s: the link %s leads to nothing", page, m[1])
					continue
				}
				if anchor != "" && strings.HasSuffix(target, ".md") && !anchors[target][anchor] {
					t.Errorf("%s: the link %s: %s has no such heading", page, m[1], target)
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("checked %d links only", checked)
	}
}

// anchorsOf returns the anchors that GitHub gives to the headings of a page.
func anchorsOf(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range titleLine.FindAllStringSubmatch(prose(text), -1) {
		title := inlineLink.ReplaceAllString(m[1], "]")
		var b strings.Builder
		for _, r := range strings.ToLower(title) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				b.WriteRune(r)
			}
		}
		anchor := b.String()
		for n := 1; all[anchor]; n++ {
			anchor = b.String() + "-" + strconv.Itoa(n)
		}
		all[anchor] = true
	}
	return all
}
