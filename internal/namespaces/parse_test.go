package namespaces_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

func names(endpoints []review.Endpoint) []string {
	var all []string
	for _, e := range endpoints {
		all = append(all, e.Name)
	}
	return all
}

// optedIn adds the label that opts in.
func optedIn(labels map[string]string) map[string]string {
	all := map[string]string{"amp.txn2.com/enabled": "true"}
	for k, v := range labels {
		all[k] = v
	}
	return all
}

type keys = map[string]string

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		labels, annotations keys
		check               func(p *review.Policy) bool
	}{
		"no failure policy says nothing": {nil, nil, func(p *review.Policy) bool { return p.FailurePolicy == "" && p.Enabled }},
		"Ignore":                         {keys{"amp.txn2.com/failure-policy": "Ignore"}, nil, func(p *review.Policy) bool { return p.FailurePolicy == review.Ignore }},
		"Fail":                           {keys{"amp.txn2.com/failure-policy": "Fail"}, nil, func(p *review.Policy) bool { return p.FailurePolicy == review.Fail }},
		"one endpoint": {nil, keys{"amp.txn2.com/ep": "http://a/m"},
			func(p *review.Policy) bool {
				return cmp.Equal(names(p.Mutate), []string{"http://a/m"}) && p.Validate == nil
			}},
		"a chain, separated by anything": {nil, keys{"amp.txn2.com/ep": " http://a/m,https://b\n\thttp://c:8080/x "},
			func(p *review.Policy) bool {
				return cmp.Equal(names(p.Mutate), []string{"http://a/m", "https://b", "http://c:8080/x"})
			}},
		"the newer key of the original": {nil, keys{"mutation.amp.txn2.com/ep": "http://a"},
			func(p *review.Policy) bool { return cmp.Equal(names(p.Mutate), []string{"http://a"}) }},
		"of both keys the short one": {nil, keys{"mutation.amp.txn2.com/ep": "http://a", "amp.txn2.com/ep": "http://b"},
			func(p *review.Policy) bool { return cmp.Equal(names(p.Mutate), []string{"http://b"}) }},
		"a validation endpoint": {keys{"amp.txn2.com/validate": "true"}, keys{"validation.amp.txn2.com/ep": "http://v"},
			func(p *review.Policy) bool {
				return cmp.Equal(names(p.Validate), []string{"http://v"}) && p.Mutate == nil
			}},
		"userinfo and query are used, never shown": {nil, keys{"amp.txn2.com/ep": "http://u:p@a/m?token=x#f"},
			func(p *review.Policy) bool {
				return cmp.Equal(names(p.Mutate), []string{"http://a/m"}) && p.Mutate[0].URL.String() == "http://u:p@a/m?token=x#f"
			}},
		"a selector": {nil, keys{"amp.txn2.com/pods": "component=singleuser-server"},
			func(p *review.Policy) bool {
				return p.Pods.Matches(labels.Set{"component": "singleuser-server"}) && !p.Pods.Matches(labels.Set{"component": "hub"})
			}},
		"an empty selector selects all": {nil, keys{"amp.txn2.com/pods": ""}, func(p *review.Policy) bool { return p.Pods == nil }},
		"creators": {nil, keys{"amp.txn2.com/creators": "system:serviceaccount:jhub:hub, admin-*"},
			func(p *review.Policy) bool {
				return p.Creators.Match("system:serviceaccount:jhub:hub") && p.Creators.Match("admin-1") && !p.Creators.Match("bob")
			}},
		"white space around values": {keys{"amp.txn2.com/failure-policy": " Ignore "}, keys{"amp.txn2.com/ep": "\n http://a \n", "amp.txn2.com/mode": " shadow\n", "amp.txn2.com/timeout": "\t800ms ",
			"amp.txn2.com/events": "None\n", "amp.txn2.com/pods": " a=b\n", "amp.txn2.com/creators": "\nbob\n", "amp.txn2.com/unknown-fields": " Fail ", "amp.txn2.com/candidate": " http://b\n"},
			func(p *review.Policy) bool {
				return p.FailurePolicy == review.Ignore && p.Shadow && p.Timeout == 800*time.Millisecond && p.Events == review.LevelNone && p.FailUnknownFields &&
					p.Pods.String() == "a=b" && cmp.Equal(p.Creators, review.Globs{"bob"}) && cmp.Equal(names(p.Mutate), []string{"http://a"})
			}},
		"unknown fields warn": {nil, keys{"amp.txn2.com/unknown-fields": "Warn"}, func(p *review.Policy) bool { return !p.FailUnknownFields }},
		"a candidate is no endpoint": {nil, keys{"amp.txn2.com/candidate": "https://u:p@new/m?x"}, func(p *review.Policy) bool {
			return p.Mutate == nil && p.Validate == nil && p.Candidate.Name == "https://new/m" && p.Candidate.URL.String() == "https://u:p@new/m?x"
		}},
		"no candidate":               {nil, keys{"amp.txn2.com/candidate": " "}, func(p *review.Policy) bool { return p.Candidate == nil }},
		"an empty list of endpoints": {nil, keys{"amp.txn2.com/ep": " "}, func(p *review.Policy) bool { return p.Mutate == nil }},
		"16 endpoints":               {nil, keys{"amp.txn2.com/ep": strings.Repeat("http://a ", 16)}, func(p *review.Policy) bool { return len(p.Mutate) == 16 }},
		"a timeout":                  {nil, keys{"amp.txn2.com/timeout": "800ms"}, func(p *review.Policy) bool { return p.Timeout == 800*time.Millisecond }},
		"shadow":                     {nil, keys{"amp.txn2.com/mode": "shadow"}, func(p *review.Policy) bool { return p.Shadow }},
		"event level":                {nil, keys{"amp.txn2.com/events": "Metadata"}, func(p *review.Policy) bool { return p.Events == review.LevelMetadata }},
		"the keys of other programs are ignored": {keys{"team": "a", "kubernetes.io/metadata.name": "x"}, keys{"example.com/amp.txn2.com": "y", "other.amp.txn2.com/x": "y"},
			func(p *review.Policy) bool { return p.Enabled }},
	} {
		t.Run(name, func(t *testing.T) {
			p := namespaces.Parse("x", optedIn(test.labels), test.annotations)
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			if !test.check(p) {
				t.Errorf("parsed %+v", p)
			}
		})
	}
}

func TestParseOfANamespaceThatHasNotOptedIn(t *testing.T) {
	for name, labels := range map[string]keys{
		"no label":      {},
		"another value": {"amp.txn2.com/enabled": "yes"},
		"false":         {"amp.txn2.com/enabled": "false"},
	} {
		t.Run(name, func(t *testing.T) {
			p := namespaces.Parse("x", labels, keys{"amp.txn2.com/ep": "nonsense", "amp.txn2.com/nonsense": ""})
			if diff := cmp.Diff(&review.Policy{}, p); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseNamesKeyValueAndWhatIsAllowed(t *testing.T) {
	for name, test := range map[string]struct {
		labels, annotations keys
		want                string
	}{
		"a policy in lower case":                    {keys{"amp.txn2.com/failure-policy": "ignore"}, nil, `label amp.txn2.com/failure-policy "ignore": allowed are Fail and Ignore`},
		"validate":                                  {keys{"amp.txn2.com/validate": "yes"}, nil, `label amp.txn2.com/validate "yes": allowed are "true" and "false"`},
		"an endpoint without a scheme":              {nil, keys{"amp.txn2.com/ep": "hook.svc/mutate"}, `annotation amp.txn2.com/ep: URL 1 of 1 does not begin with http:// or https://; allowed are http and https URLs separated by white space`},
		"an endpoint of another scheme":             {nil, keys{"amp.txn2.com/ep": "ftp://u:p@hook/x?y"}, `annotation amp.txn2.com/ep: URL 1 of 1 does not begin with http:// or https://; allowed are http and https URLs separated by white space`},
		"an endpoint that is not a URL":             {nil, keys{"amp.txn2.com/ep": "http://u:p%zz@hook:x/?secret"}, `annotation amp.txn2.com/ep: URL 1 of 1 has a bad port (1 to 65535); in a password, percent-encode / ? # and @; allowed are http and https URLs separated by white space`},
		"an endpoint without a host":                {nil, keys{"amp.txn2.com/ep": "http:///x"}, `annotation amp.txn2.com/ep: URL 1 of 1 has no host; allowed are http and https URLs separated by white space`},
		"two bad endpoints of three":                {nil, keys{"validation.amp.txn2.com/ep": "b http://a http://"}, `annotation validation.amp.txn2.com/ep: URL 1 of 3 does not begin with http:// or https://, URL 3 of 3 has no host; allowed are http and https URLs separated by white space`},
		"the newer key is named":                    {nil, keys{"mutation.amp.txn2.com/ep": "a"}, `annotation mutation.amp.txn2.com/ep: URL 1 of 1 does not begin with http:// or https://; allowed are http and https URLs separated by white space`},
		"a list of URLs without one":                {nil, keys{"amp.txn2.com/ep": ","}, `annotation amp.txn2.com/ep: URL 1 of 1 does not begin with http:// or https://; allowed are http and https URLs separated by white space`},
		"17 endpoints":                              {nil, keys{"amp.txn2.com/ep": strings.Repeat("http://a,", 16) + "http://a"}, `annotation amp.txn2.com/ep: it names 17 URLs; allowed are at most 16`},
		"a candidate that is not a URL":             {nil, keys{"amp.txn2.com/candidate": "hook"}, `annotation amp.txn2.com/candidate: URL 1 of 1 does not begin with http:// or https://; allowed are http and https URLs separated by white space`},
		"two candidates":                            {nil, keys{"amp.txn2.com/candidate": "http://a http://b?s3cret"}, `annotation amp.txn2.com/candidate: it names 2 URLs; allowed is one http or https URL`},
		"what becomes of unknown fields":            {nil, keys{"amp.txn2.com/unknown-fields": "warn"}, `annotation amp.txn2.com/unknown-fields "warn": allowed are Warn and Fail`},
		"a value that may be a URL":                 {nil, keys{"amp.txn2.com/mode": "http://u:s3cret@hook"}, `annotation amp.txn2.com/mode: allowed is shadow`},
		"a selector":                                {nil, keys{"amp.txn2.com/pods": "a=b=c"}, `annotation amp.txn2.com/pods "a=b=c": allowed is a label selector, e.g. component=singleuser-server`},
		"no creators":                               {nil, keys{"amp.txn2.com/creators": " "}, `annotation amp.txn2.com/creators "": it names no user; allowed are usernames separated by white space or commas, * for any characters, in double quotes where a name has such characters`},
		"creators without an entry":                 {nil, keys{"amp.txn2.com/creators": ","}, `annotation amp.txn2.com/creators ",": it names no user; allowed are usernames separated by white space or commas, * for any characters, in double quotes where a name has such characters`},
		"a creator without a closing quote":         {nil, keys{"amp.txn2.com/creators": `a "CN=b, c`}, `annotation amp.txn2.com/creators "a \"CN=b, c": entry 2 has no closing quote; allowed are usernames separated by white space or commas, * for any characters, in double quotes where a name has such characters`},
		"a timeout without a unit":                  {nil, keys{"amp.txn2.com/timeout": "5"}, `annotation amp.txn2.com/timeout "5": allowed is a positive Go duration, e.g. 800ms`},
		"no time at all":                            {nil, keys{"amp.txn2.com/timeout": "0s"}, `annotation amp.txn2.com/timeout "0s": allowed is a positive Go duration, e.g. 800ms`},
		"a mode":                                    {nil, keys{"amp.txn2.com/mode": "Shadow"}, `annotation amp.txn2.com/mode "Shadow": allowed is shadow`},
		"a level":                                   {nil, keys{"amp.txn2.com/events": "patch"}, `annotation amp.txn2.com/events "patch": allowed are None, Metadata, Patch and Full`},
		"an unknown annotation":                     {nil, keys{"amp.txn2.com/endpoint": "http://u:p@a/x?y"}, `annotation amp.txn2.com/endpoint: the key is unknown; the nearest known is the annotation amp.txn2.com/ep`},
		"an unknown label":                          {keys{"amp.txn2.com/policy": "Fail"}, nil, `label amp.txn2.com/policy "Fail": the key is unknown; the nearest known is the label amp.txn2.com/failure-policy`},
		"a slip in a label":                         {keys{"amp.txn2.com/failure-polcy": "Ignore"}, nil, `label amp.txn2.com/failure-polcy "Ignore": the key is unknown; the nearest known is the label amp.txn2.com/failure-policy`},
		"a key like none":                           {nil, keys{"amp.txn2.com/owner": "jane"}, `annotation amp.txn2.com/owner "jane": the key is unknown; the nearest known is the annotation amp.txn2.com/unknown-fields (known annotations are amp.txn2.com/candidate, amp.txn2.com/creators, amp.txn2.com/ep, amp.txn2.com/events, amp.txn2.com/mode, amp.txn2.com/pods, amp.txn2.com/timeout, amp.txn2.com/unknown-fields, mutation.amp.txn2.com/ep, validation.amp.txn2.com/ep)`},
		"a key of Pods":                             {nil, keys{"amp.txn2.com/explain": "true"}, `annotation amp.txn2.com/explain "true": it belongs on a Pod, not on a Namespace`},
		"a label's key, misspelt, as an annotation": {nil, keys{"amp.txn2.com/failurepolicy": "Fail"}, `annotation amp.txn2.com/failurepolicy "Fail": the key is unknown; the nearest known is the label amp.txn2.com/failure-policy`},
		"a key without a name":                      {nil, keys{"amp.txn2.com/": "", "amp.txn2.com": ""}, `annotation amp.txn2.com: the key is unknown; the nearest known is the annotation amp.txn2.com/ep; annotation amp.txn2.com/: the key is unknown; the nearest known is the annotation amp.txn2.com/ep`},
		"an unknown key under validation":           {nil, keys{"validation.amp.txn2.com/timeout": "x"}, `annotation validation.amp.txn2.com/timeout: the key is unknown; the nearest known is the annotation validation.amp.txn2.com/ep`},
		"a label's key as an annotation":            {nil, keys{"amp.txn2.com/failure-policy": "Ignore"}, `annotation amp.txn2.com/failure-policy "Ignore": set it as a label`},
		"an annotation's key as a label":            {keys{"amp.txn2.com/mode": "shadow"}, nil, `label amp.txn2.com/mode "shadow": set it as an annotation`},
		"a URL as a label":                          {keys{"amp.txn2.com/ep": "http-hook"}, nil, `label amp.txn2.com/ep: set it as an annotation`},
		"several at once, all in one line":          {keys{"amp.txn2.com/validate": "1"}, keys{"amp.txn2.com/mode": "x"}, `label amp.txn2.com/validate "1": allowed are "true" and "false"; annotation amp.txn2.com/mode "x": allowed is shadow`},
		"a value with a newline is quoted":          {nil, keys{"amp.txn2.com/mode": "a\nb"}, `annotation amp.txn2.com/mode "a\nb": allowed is shadow`},
		"an empty failure policy":                   {keys{"amp.txn2.com/failure-policy": ""}, nil, `label amp.txn2.com/failure-policy "": allowed are Fail and Ignore`},
	} {
		t.Run(name, func(t *testing.T) {
			p := namespaces.Parse("x", optedIn(test.labels), test.annotations)
			if want := "namespace x: " + test.want; p.Err == nil || p.Err.Error() != want {
				t.Errorf("error\n%v\nwant\n%s", p.Err, want)
			}
		})
	}
}

func TestParseKeepsWhatIsGoodBesideABadValue(t *testing.T) {
	p := namespaces.Parse("x", optedIn(keys{"amp.txn2.com/failure-policy": "open"}), keys{"amp.txn2.com/mode": "shadow", "amp.txn2.com/pods": "a=b", "amp.txn2.com/timeout": "x"})
	if p.Err == nil || !p.Shadow || p.Pods == nil {
		t.Errorf("parsed %+v", p)
	}
	if p.FailurePolicy != review.Fail {
		t.Errorf("a policy that does not parse counts as %q, the API server takes it for Fail", p.FailurePolicy)
	}
}

// TestParseIsBounded: a person who may write a Namespace can put 256 KiB into its annotations.
func TestParseIsBounded(t *testing.T) {
	const most = 16 << 10
	const path = "http://hook.test/"
	for name, test := range map[string]struct {
		key, value string
		good       bool
	}{
		"a URL that just fits":        {"amp.txn2.com/ep", path + strings.Repeat("x", most-len(path)), true},
		"a URL that does not":         {"amp.txn2.com/ep", path + strings.Repeat("x", most-len(path)+1), false},
		"16 long ones":                {"validation.amp.txn2.com/ep", strings.Repeat(path+strings.Repeat("x", 2000)+" ", 16), false},
		"a user that is all quotes":   {"amp.txn2.com/creators", strings.Repeat(`"`, 200_000), false},
		"quotes that just fit":        {"amp.txn2.com/creators", strings.Repeat(`"`, most), true},
		"100,000 users":               {"amp.txn2.com/creators", strings.Repeat("a,", 100_000), false},
		"a selector without an end":   {"amp.txn2.com/pods", strings.Repeat("!a,", 70_000) + "a", false},
		"a timeout of many digits":    {"amp.txn2.com/timeout", strings.Repeat("0", 200_000) + "1s", false},
		"a candidate with a long URL": {"amp.txn2.com/candidate", path + strings.Repeat("x", 200_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			fuzztest.Within(t, time.Second, 8<<20, func() {
				p := namespaces.Parse("x", optedIn(nil), keys{test.key: test.value, "amp.txn2.com/mode": "shadow"})
				if !p.Shadow {
					t.Error("the other keys do not count")
				}
				if test.good != (p.Err == nil) {
					t.Fatalf("%.200v", p.Err)
				}
				if want := fmt.Sprintf("annotation %s has %d bytes: allowed are at most 16384", test.key, len(test.value)); !test.good && !strings.Contains(p.Err.Error(), want) {
					t.Errorf("%.300v, not %s", p.Err, want)
				}
			})
		})
	}

	strays := keys{}
	for i := range 5000 {
		strays[fmt.Sprintf("amp.txn2.com/stray-%d", i)] = "x"
	}
	if p := namespaces.Parse("x", optedIn(nil), strays); p.Err == nil || len(p.Err.Error()) > 10_000 || !strings.HasSuffix(p.Err.Error(), "; and 4984 more") {
		t.Errorf("of 5,000 unknown keys: %.300v", p.Err)
	}
}
