package namespaces_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/namespaces/namespacestest"
	"github.com/txn2/amp/internal/review"
)

// valid says in its own way which values a key may have. Those of endpoints are held by holdURLs.
var valid = map[string]func(string) bool{
	namespaces.LabelFailurePolicy:      oneOf("Fail", "Ignore"),
	namespaces.LabelValidate:           oneOf("true", "false"),
	namespaces.AnnotationMode:          oneOf("shadow"),
	namespaces.AnnotationUnknownFields: oneOf("Warn", "Fail"),
	namespaces.AnnotationEvents:        oneOf("None", "Metadata", "Patch", "Full"),
	namespaces.AnnotationTimeout: func(v string) bool {
		d, err := time.ParseDuration(v)
		return err == nil && d > 0
	},
	namespaces.AnnotationPods: func(v string) bool {
		_, err := labels.Parse(v)
		return err == nil
	},
	// A list without quotes is words between white space and commas.
	namespaces.AnnotationCreators: func(v string) bool {
		return strings.Trim(strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return -1
			}
			return r
		}, v), ",") != ""
	},
}

// breaks reports whether a character may end a line, or is shown as nothing. A space is none of them, nor are two.
func breaks(r rune) bool { return !unicode.IsPrint(r) }

func oneOf(all ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(all, v) }
}

// FuzzParse has any value of any key, and a mark in userinfo, query or fragment of a URL, between whatever texts. A value
// is in effect, or it is named as bad; an endpoint can be called and shown; and the mark is shown nowhere.
func FuzzParse(f *testing.F) {
	for _, value := range []string{"Fail", " Ignore\n", "shadow", "Full", "800ms", "-1s", "component=singleuser-server", "a in (b,c),!d", `system:* , "CN=a, O=b" `, `a  "b`, "a\u2028b", `"`, ",", "true",
		"http://a/m?x=1,2, https://b ,c", ",,http://,HTTPS://x\u2028", "http://u:MARK@h:bad", "htp://MARK", "//u:MARK@h", "http://h/%MARK", "http://[::1%25MARK]", "http:MARK"} {
		f.Add(value, "u:", "", "h", "/m?a=", uint8(0))
	}
	f.Add("", ",second", "h:bad", "", "", uint8(1))
	f.Add("http://b,", "a b", "%", "[::1%25x]", "/%zz", uint8(2))
	f.Fuzz(func(t *testing.T, value, before, after, host, path string, at uint8) {
		value = strings.ToValidUTF8(value, "?") // as those of an API server are
		fuzztest.Within(t, time.Second, 32<<20, func() {
			for key, is := range valid {
				holdValue(t, key, value, is)
			}
			holdURLs(t, value)
			holdMark(t, value, before, after, host, path, at)
		})
	})
}

func holdValue(t *testing.T, key, value string, is func(string) bool) {
	t.Helper()
	own, annotations := optedIn(nil), keys{}
	if have := map[bool]keys{true: own, false: annotations}[key == namespaces.LabelFailurePolicy || key == namespaces.LabelValidate]; have != nil {
		have[key] = value
	}
	p := namespaces.Parse("x", own, annotations)
	trimmed := strings.TrimSpace(value)
	if key == namespaces.AnnotationCreators && strings.Contains(value, `"`) {
		is = func(string) bool { return len(p.Creators) > 0 } // quotes have rules of their own
	}
	if is(trimmed) != (p.Err == nil) {
		t.Fatalf("%s %q: %v", key, value, p.Err)
	}
	if p.Err != nil && (!strings.Contains(p.Err.Error(), key) || strings.ContainsFunc(p.Err.Error(), breaks)) {
		t.Fatalf("%s %q: the error does not name the key in one line: %q", key, value, p.Err)
	}
	if key == namespaces.LabelFailurePolicy && string(p.FailurePolicy) != trimmed && p.FailurePolicy != review.Fail {
		t.Fatalf("%q becomes the failure policy %q", value, p.FailurePolicy)
	}
	delete(own, namespaces.LabelEnabled)
	if off := namespaces.Parse("x", own, annotations); off.Enabled || off.Err != nil || len(off.Mutate) > 0 {
		t.Fatalf("%s %q without having opted in: %+v", key, value, off)
	}
}

// holdURLs has a value where endpoints belong: nothing but separators gets lost of it, no part can be split again, and each
// part is an endpoint that can be called and shown, or none of them is.
func holdURLs(t *testing.T, list string) {
	t.Helper()
	separator := func(r rune) rune {
		if r == ',' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}
	split := namespaces.SplitURLs(list)
	if want, all := strings.Map(separator, list), strings.Map(separator, strings.Join(split, "")); all != want {
		t.Fatalf("%q became %q", list, split)
	}
	bad := len(split) > 16
	for _, one := range split {
		again := namespaces.SplitURLs(one)
		if one == "" || len(again) != 1 && !strings.HasPrefix(one, ",") || strings.ContainsFunc(one, unicode.IsSpace) {
			t.Fatalf("%q became %q", list, split)
		}
		u, err := review.ParseURL(one)
		if err != nil {
			bad = true
			if strings.Contains(err.Error(), one) && len(one) > 8 {
				t.Fatalf("%q: the error holds it: %v", one, err)
			}
			continue
		}
		if name := review.NewEndpoint(u).Name; !review.BeginsURL(name) || strings.ContainsAny(name, "?# \n") || review.Line(name) != name || u.Host == "" {
			t.Fatalf("%q is shown as %q", one, name)
		}
	}
	for _, key := range []string{namespaces.AnnotationEndpoint, namespaces.AnnotationMutationEndpoint, namespaces.AnnotationValidation} {
		p := namespaces.Parse("x", optedIn(nil), keys{key: list})
		if got := len(p.Mutate) + len(p.Validate); bad != (p.Err != nil) || !bad && got != len(split) || bad && got != 0 {
			t.Fatalf("%s %q: %d endpoints of %q, error %v", key, list, got, split, p.Err)
		}
	}
}

// holdMark plants a mark into a URL: no error and no name of an endpoint shows it.
func holdMark(t *testing.T, list, before, after, host, path string, at uint8) {
	t.Helper()
	const mark = namespacestest.Mark
	if cut := "/?#\\"; strings.ContainsAny(before, cut) || at%3 == 0 && strings.ContainsAny(after, cut) || strings.Contains(before+after, "http") || strings.ContainsAny(host, cut+"@") || strings.ContainsAny(path, "?#@") {
		return // the mark would stand in the path, or in a host
	}
	url := "http://" + before + mark + after + "@" + host + path
	switch at % 3 {
	case 1:
		url = "http://" + host + "/" + path + "?" + before + mark + after
	case 2:
		url = "http://" + host + "/" + path + "#" + before + mark + after
	}
	if strings.ContainsAny(before+after+host+path, ", \t\r\n\v\f\u0085\u00a0\u2028\u2029") && strings.Contains(after+path, "/") {
		return // a list of which the mark's part may have a path
	}
	hides(t, namespaces.AnnotationEndpoint, url, mark)
	hides(t, namespaces.AnnotationEndpoint, list+" "+url, mark)
}
