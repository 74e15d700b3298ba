package namespaces_test

import (
	"testing"

	"github.com/txn2/amp/internal/namespaces"
)

// Each slip finds the key that was meant, and where it belongs.
func TestStrays(t *testing.T) {
	for key, test := range map[string]struct {
		kind    namespaces.Kind
		nearest string
		where   namespaces.Kind
	}{
		"amp.txn2.com/enabeld":            {namespaces.Label, "amp.txn2.com/enabled", namespaces.Label},
		"amp.txn2.com/enable":             {namespaces.Label, "amp.txn2.com/enabled", namespaces.Label},
		"amp.txn2.com/Enabled":            {namespaces.Label, "amp.txn2.com/enabled", namespaces.Label},
		"amp.txn2.com/failure_policy":     {namespaces.Label, "amp.txn2.com/failure-policy", namespaces.Label},
		"amp.txn2.com/failurePolicy":      {namespaces.Annotation, "amp.txn2.com/failure-policy", namespaces.Label},
		"amp.txn2.com/validation":         {namespaces.Label, "amp.txn2.com/validate", namespaces.Label},
		"amp.txn2.com/pod":                {namespaces.Annotation, "amp.txn2.com/pods", namespaces.Annotation},
		"amp.txn2.com/creator":            {namespaces.Annotation, "amp.txn2.com/creators", namespaces.Annotation},
		"amp.txn2.com/timout":             {namespaces.Annotation, "amp.txn2.com/timeout", namespaces.Annotation},
		"amp.txn2.com/time-out":           {namespaces.Annotation, "amp.txn2.com/timeout", namespaces.Annotation},
		"amp.txn2.com/modes":              {namespaces.Annotation, "amp.txn2.com/mode", namespaces.Annotation},
		"amp.txn2.com/event-level":        {namespaces.Annotation, "amp.txn2.com/events", namespaces.Annotation},
		"amp.txn2.com/events-level":       {namespaces.Annotation, "amp.txn2.com/events", namespaces.Annotation},
		"amp.txn2.com/unknownfields":      {namespaces.Annotation, "amp.txn2.com/unknown-fields", namespaces.Annotation},
		"amp.txn2.com/canditate":          {namespaces.Annotation, "amp.txn2.com/candidate", namespaces.Annotation},
		"amp.txn2.com/eps":                {namespaces.Annotation, "amp.txn2.com/ep", namespaces.Annotation},
		"amp.txn2.com/endpoints":          {namespaces.Annotation, "amp.txn2.com/ep", namespaces.Annotation},
		"mutation.amp.txn2.com/endpoint":  {namespaces.Annotation, "mutation.amp.txn2.com/ep", namespaces.Annotation},
		"validation.amp.txn2.com/enabled": {namespaces.Label, "validation.amp.txn2.com/ep", namespaces.Annotation},
		"amp.txn2.com/mode":               {namespaces.Label, "amp.txn2.com/mode", namespaces.Annotation},
		"amp.txn2.com/validate":           {namespaces.Annotation, "amp.txn2.com/validate", namespaces.Label},
		"amp.txn2.com/event":              {namespaces.Annotation, "", ""},
		"validation.amp.txn2.com/ep":      {namespaces.Label, "validation.amp.txn2.com/ep", namespaces.Annotation},
		"amp.txn2.com":                    {namespaces.Annotation, "amp.txn2.com/ep", namespaces.Annotation},
	} {
		var labels, annotations keys
		if test.kind == namespaces.Label {
			labels = keys{key: "x"}
		} else {
			annotations = keys{key: "x"}
		}
		got := namespaces.Strays(labels, annotations)
		if len(got) != 1 || got[0].Kind != test.kind || got[0].Key != key || got[0].Nearest != test.nearest || got[0].NearestKind != test.where || got[0].Text == "" {
			t.Errorf("%s %s: %+v, want %s %s", test.kind, key, got, test.where, test.nearest)
		}
	}
	known := keys{"amp.txn2.com/enabled": "", "amp.txn2.com/failure-policy": "", "amp.txn2.com/validate": "", "amp.tnx2.com/enabled": "", "txn2.com/x": "", "x.amp.txn2.com/ep": ""}
	if got := namespaces.Strays(known, nil); got != nil {
		t.Errorf("known and foreign keys: %+v", got)
	}
}

func TestForeignStrays(t *testing.T) {
	for key, nearest := range map[string]string{
		"amp.tnx2.com/enabled":        "amp.txn2.com/enabled",
		"amp.txn2.con/enabled":        "amp.txn2.com/enabled",
		"ampp.txn2.com/ep":            "amp.txn2.com/ep",
		"mutations.amp.txn2.com/ep":   "mutation.amp.txn2.com/ep",
		"amp.txn2.com/enabeld":        "", // Strays
		"amp.txn2.com/enabled":        "",
		"amp.tnx2.com/whatever":       "",
		"kubernetes.io/metadata.name": "",
		"istio.io/enabled":            "",
		"enabled":                     "",
		"other.amp.txn2.com/ep":       "", // a domain of its own
		"app.example.com/enabled":     "",
	} {
		got := namespaces.ForeignStrays(keys{key: "true"}, nil)
		if nearest == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Nearest != nearest {
			t.Errorf("%s: %+v, want %q", key, got, nearest)
		}
	}
}
