package doctor

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type keys = map[string]string

func team(t *testing.T, of, annotations keys) *namespace {
	t.Helper()
	all := withAmpKeys([]metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "team-a", Labels: of, Annotations: annotations}}})
	if len(all) != 1 {
		t.Fatalf("the namespace does not concern amp")
	}
	return all[0]
}

func TestWithAmpKeys(t *testing.T) {
	meta := func(name string, of, annotations keys) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: of, Annotations: annotations}}
	}
	going := meta("going", keys{"amp.txn2.com/enabled": "true"}, nil)
	going.DeletionTimestamp = &metav1.Time{}
	var names []string
	for _, n := range withAmpKeys([]metav1.PartialObjectMetadata{
		meta("z", keys{"amp.txn2.com/enabled": "true"}, nil), meta("annotated", nil, keys{"validation.amp.txn2.com/ep": "x"}),
		meta("other", keys{"example.com/enabled": "true"}, keys{"amp.example.com/ep": ""}), going,
	}) {
		names = append(names, n.name)
	}
	if !slices.Equal(names, []string{"annotated", "z"}) {
		t.Errorf("they are %v", names)
	}
}

// What can be wrong with a Namespace itself, and what the report says of it.
func TestNamespace(t *testing.T) {
	m, _ := deployed()
	for name, test := range map[string]struct {
		labels, annotations keys
		want                []string // status id: the message's beginning
	}{
		"good": {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a"}, []string{"ok keys: labels and annotations are valid"}},
		"a bad value": {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "ftp://a"},
			[]string{`failed keys: annotation amp.txn2.com/ep: URL 1 of 1 does not begin with http:// or https://; allowed are http and https URLs`}},
		"an unknown key":         {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a", "amp.txn2.com/endpoint": "x"}, []string{`failed keys: annotation amp.txn2.com/endpoint: the key is unknown; the nearest known is the annotation amp.txn2.com/ep`}},
		"no endpoint":            {keys{"amp.txn2.com/enabled": "true"}, nil, []string{"ok keys", "warning endpoint: opted in without an endpoint"}},
		"never validated":        {keys{"amp.txn2.com/enabled": "true"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"ok keys", "failed validate: validation.amp.txn2.com/ep names an endpoint that is never called"}},
		"validated":              {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"ok keys", "ok validate: Pods are validated"}},
		"validated by none":      {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, nil, []string{"ok keys", "warning endpoint", "warning validate: Pods are to be validated, but"}},
		"not validated any more": {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "false"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"ok keys", "ok validate: Pods are not validated: the label"}},
		"validated, it seems":    {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "yes"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"failed keys: label amp.txn2.com/validate"}},
		"recorded":               {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, keys{"amp.txn2.com/ep": "http://a"}, []string{"ok keys", "ok validate: validation only records"}},
		"too much in events":     {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a", "amp.txn2.com/events": "Full"}, []string{"ok keys", "warning events-level: amp.txn2.com/events is Full, but amp's level is Patch (AMP_EVENTS_LEVEL)"}},
		"less in events":         {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a", "amp.txn2.com/events": "Metadata"}, []string{"ok keys"}},
		"too much time":          {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a", "amp.txn2.com/timeout": "5s"}, []string{"ok keys", "warning timeout: amp.txn2.com/timeout is 5s, but amp's limit is 1.5s"}},
		"left out":               {keys{"amp.txn2.com/enabled": "true", "kubernetes.io/metadata.name": "kube-system"}, keys{"amp.txn2.com/ep": "http://a"}, []string{"ok keys", "failed selected: opted in, but the webhooks exclude this namespace"}},
		"opted out":              {keys{"amp.txn2.com/enabled": "false"}, keys{"amp.txn2.com/ep": "http://a"}, nil},
		"opted in half":          {keys{"amp.txn2.com/enabled": "yes"}, nil, []string{`warning opt-in: not opted in: the label amp.txn2.com/enabled is "yes", and only "true" opts in`}},
		"opted in by annotation": {nil, keys{"amp.txn2.com/enabled": "true"}, []string{"warning opt-in: not opted in: amp.txn2.com/enabled is an annotation and has to be a label"}},
		"not opted in":           {nil, keys{"amp.txn2.com/ep": "http://a"}, []string{"warning opt-in: not opted in: it has keys of amp, but not the label"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &observed{
				mutating:   seen[[]configuration]{value: []configuration{m}},
				settings:   settings{config: defaults()},
				fix:        remedies{namespace: "amp-system"},
				namespaces: seen[[]*namespace]{value: []*namespace{team(t, test.labels, test.annotations)}},
			}
			var got []string
			first := slices.IndexFunc(checks, func(c check) bool { return c.id == "keys" })
			for _, f := range judge(checks[first:], s) {
				if f.Subject != "namespace/team-a" {
					continue // where an endpoint leads
				}
				got = append(got, string(f.Status)+" "+f.ID+": "+f.Message)
				if (f.Status == Failed || f.Status == Warning) && !strings.Contains(f.Remedy, "kubectl ") {
					t.Errorf("%s: remedy %q", f.Message, f.Remedy)
				}
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("%q\nwant %q", got, test.want)
			}
		})
	}
}

// If the webhooks themselves are at fault, each namespace would only repeat it.
func TestSelectedByWebhooksAtFault(t *testing.T) {
	m, _ := deployed()
	n := team(t, keys{"amp.txn2.com/enabled": "true", "kubernetes.io/metadata.name": "kube-system"}, keys{"amp.txn2.com/ep": "http://a"})
	s := &observed{mutating: seen[[]configuration]{value: []configuration{m}}, fix: remedies{namespace: "amp-system"},
		namespaces: seen[[]*namespace]{value: []*namespace{n}}}
	if status, _ := the(t, checkSelected(s)...); status != Failed {
		t.Errorf("with the webhooks as deployed: %s", status)
	}
	m.hooks[0].NamespaceSelector.MatchLabels["amp.txn2.com/enabled"] = "yes"
	if findings := checkSelected(s); len(findings) > 0 {
		t.Errorf("with another selector: %+v", findings)
	}
	s.mutating = seen[[]configuration]{err: forbidden}
	if findings := checkSelected(s); len(findings) > 0 {
		t.Errorf("without webhooks: %+v", findings)
	}
}
