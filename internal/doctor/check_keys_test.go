package doctor

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What looks like a key of amp on a Namespace that amp does not see, and how to write it.
func TestMisspelt(t *testing.T) {
	for name, test := range map[string]struct {
		labels, annotations keys
		want                []string // id: a part of the message | a part of the remedy
	}{
		"the label that opts in": {keys{"amp.txn2.com/enabeld": "true"}, keys{"amp.txn2.com/ep": "http://a"},
			[]string{"misspelt: label amp.txn2.com/enabeld: the key is unknown; the nearest known is the label amp.txn2.com/enabled|kubectl label namespace team-a --overwrite amp.txn2.com/enabled=true\nkubectl label namespace team-a --overwrite amp.txn2.com/enabeld-"}},
		"it has another domain": {keys{"amp.tnx2.com/enabled": "true"}, nil,
			[]string{"misspelt: label amp.tnx2.com/enabled: the domain is unknown; the nearest known key is the label amp.txn2.com/enabled|amp.txn2.com/enabled=true"}},
		"it is an annotation, and misspelt": {nil, keys{"amp.txn2.com/enable": "true"},
			[]string{"misspelt: annotation amp.txn2.com/enable: |kubectl label namespace team-a --overwrite amp.txn2.com/enabled=true\nkubectl annotate namespace team-a --overwrite amp.txn2.com/enable-"}},
		"an annotation of a namespace that has not opted in": {nil, keys{"amp.txn2.com/timeot": "1s"},
			[]string{"misspelt: annotation amp.txn2.com/timeot: |amp.txn2.com/timeout=VALUE", "opt-in: not opted in|"}},
		"a URL is not shown": {nil, keys{"amp.txn2.com/endpoint": "http://u:s3cret@hook/m?s3cret"},
			[]string{"misspelt: annotation amp.txn2.com/endpoint: |amp.txn2.com/ep=VALUE", "opt-in: |"}},
		"nor a value that a label cannot have": {nil, keys{"amp.txn2.com/failurepolicy": "$(s3cret)"},
			[]string{"misspelt: annotation amp.txn2.com/failurepolicy: |amp.txn2.com/failure-policy=VALUE", "opt-in: |"}},
		"a label that belongs into an annotation": {keys{"amp.txn2.com/mode": "shadow"}, nil,
			[]string{"misspelt: label amp.txn2.com/mode: set it as an annotation|kubectl label namespace team-a --overwrite amp.txn2.com/mode-", "opt-in: |"}},
		"opted out": {keys{"amp.txn2.com/enabled": "false"}, keys{"amp.txn2.com/timeot": "1s"}, []string{"misspelt: annotation amp.txn2.com/timeot|"}},
		"a domain, where amp sees the rest": {keys{"amp.txn2.com/enabled": "true", "ampp.txn2.com/validate": "true"}, keys{"amp.txn2.com/ep": "http://a"},
			[]string{"misspelt: label ampp.txn2.com/validate: the domain is unknown|amp.txn2.com/validate=true"}},
		"what amp itself names is not repeated": {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a", "amp.txn2.com/timeot": "1s"}, nil},
		"a good one":                            {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &observed{settings: settings{config: defaults()}, namespaces: seen[[]*namespace]{value: []*namespace{team(t, test.labels, test.annotations)}}}
			var got []Finding
			for _, f := range judge(checks, s) {
				if f.ID == "misspelt" || f.ID == "opt-in" {
					got = append(got, f)
				}
				if strings.Contains(f.Message+f.Remedy, "s3cret") {
					t.Errorf("a secret is shown: %+v", f)
				}
			}
			if len(got) != len(test.want) {
				t.Fatalf("%+v, want %q", got, test.want)
			}
			for i, want := range test.want {
				message, remedy, _ := strings.Cut(want, "|")
				if f := got[i]; f.Status != Warning || !strings.Contains(f.ID+": "+f.Message, message) || !strings.Contains(f.Remedy, remedy) {
					t.Errorf("%+v, want %s", f, want)
				}
			}
		})
	}
}

// A namespace with nothing but a misspelt domain is looked at; those of other programs are not.
func TestMisspeltDomainsConcernAmp(t *testing.T) {
	var all []metav1.PartialObjectMetadata
	for name, key := range map[string]string{"a": "amp.tnx2.com/enabled", "b": "app.example.com/enabled", "c": "apm.txn2.com/ep", "d": "enabled"} {
		all = append(all, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: keys{key: "true"}}})
	}
	var names []string
	for _, n := range withAmpKeys(all) {
		names = append(names, n.name)
	}
	if !slices.Equal(names, []string{"a", "c"}) {
		t.Errorf("they are %v", names)
	}
}
