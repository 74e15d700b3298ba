package rules_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/patch/rules"
)

func TestDenied(t *testing.T) {
	cause := func(op, pointer string) string {
		return fmt.Sprintf(`op 1 (%s): an endpoint may not change %q (AMP_PATCH_DENY)`, op, pointer)
	}
	for sentence, test := range map[string]struct{ deny, ops, want string }{
		"an op at it":                            {"/spec/nodeName", `[{"op":"add","path":"/spec/nodeName","value":"x"}]`, cause(`add "/spec/nodeName"`, "/spec/nodeName")},
		"an op at it that changes nothing":       {"/spec/hostNetwork", `[{"op":"add","path":"/spec/hostNetwork","value":false}]`, cause(`add "/spec/hostNetwork"`, "/spec/hostNetwork")},
		"an op under it":                         {"/spec/securityContext", `[{"op":"add","path":"/spec/securityContext/runAsUser","value":0}]`, cause(`add "/spec/securityContext/runAsUser"`, "/spec/securityContext")},
		"an op above it":                         {"/spec/nodeName", `[{"op":"replace","path":"/spec","value":{"containers":[]}}]`, cause(`replace "/spec"`, "/spec/nodeName")},
		"a move from it":                         {"/spec/nodeName", `[{"op":"move","from":"/spec/nodeName","path":"/spec/hostname"}]`, cause(`move "/spec/hostname" from "/spec/nodeName"`, "/spec/nodeName")},
		"the alias of the service account":       {"/spec/serviceAccountName", `[{"op":"replace","path":"/spec/serviceAccount","value":"x"}]`, cause(`replace "/spec/serviceAccount"`, "/spec/serviceAccountName")},
		"a star, by index":                       {"/spec/containers/*/securityContext", `[{"op":"add","path":"/spec/containers/1/securityContext/privileged","value":true}]`, cause(`add "/spec/containers/1/securityContext/privileged"`, "/spec/containers/*/securityContext")},
		"a star, by negative index":              {"/spec/containers/1/securityContext", `[{"op":"add","path":"/spec/containers/-1/securityContext/privileged","value":true}]`, cause(`add "/spec/containers/-1/securityContext/privileged"`, "/spec/containers/1/securityContext")},
		"a star, a new element":                  {"/spec/containers/*/securityContext", `[{"op":"add","path":"/spec/containers/-","value":{"name":"x","securityContext":{"privileged":true}}}]`, cause(`add "/spec/containers/-"`, "/spec/containers/*/securityContext")},
		"a star, an element written anew":        {"/spec/containers/*/securityContext", `[{"op":"replace","path":"/spec/containers/1","value":{"name":"side"}}]`, cause(`replace "/spec/containers/1"`, "/spec/containers/*/securityContext")},
		"a star, two elements that swap names":   {"/spec/containers/*/securityContext", `[{"op":"replace","path":"/spec/containers","value":[{"name":"side","securityContext":{"privileged":false}},{"name":"main","securityContext":{"privileged":true}}]}]`, cause(`replace "/spec/containers"`, "/spec/containers/*/securityContext")},
		"a star over a map":                      {"/metadata/labels/*", `[{"op":"add","path":"/metadata/labels","value":{"app":"w","x":"y"}}]`, cause(`add "/metadata/labels"`, "/metadata/labels/*")},
		"an index that another element comes to": {"/spec/containers/0/image", `[{"op":"add","path":"/spec/containers/0","value":{"name":"x","image":"j"}}]`, cause(`add "/spec/containers/0"`, "/spec/containers/0/image")},
		"its missing parent made":                {"/metadata/finalizers", `[{"op":"add","path":"/metadata/finalizers/-","value":"x"}]`, cause(`add "/metadata/finalizers/-"`, "/metadata/finalizers")},
		"but an op above that leaves it":         {"/spec/nodeName", `[{"op":"replace","path":"/spec","value":{"nodeName":"n","containers":[{"name":"main"}]}}]`, ""},
		"but a new element without it":           {"/spec/containers/*/securityContext", `[{"op":"add","path":"/spec/containers/0","value":{"name":"x"}}]`, ""},
		"but a move of its element":              {"/spec/containers/*/securityContext", `[{"op":"move","from":"/spec/containers/0","path":"/spec/containers/1"}]`, ""},
		"a null in a map, an empty text":         {"/metadata/labels/x", `[{"op":"add","path":"/metadata/labels","value":{"app":"w","x":null,"y":"z"}}]`, cause(`add "/metadata/labels"`, "/metadata/labels/x")},
		"a null in a map, a star":                {"/metadata/*/x", `[{"op":"add","path":"/metadata/labels","value":{"app":"w","x":null}}]`, cause(`add "/metadata/labels"`, "/metadata/*/x")},
		"but a null for what is absent":          {"/spec/hostname", `[{"op":"replace","path":"/spec","value":{"hostname":null,"containers":[{"name":"main"}]}}]`, ""},
		"but a test":                             {"/spec/nodeName", `[{"op":"test","path":"/spec/nodeName","value":"n"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, ""},
		"but a copy from it":                     {"/spec/nodeName", `[{"op":"copy","from":"/spec/nodeName","path":"/metadata/labels/node"}]`, ""},
		"but a neighbour with a longer name":     {"/spec/hostname", `[{"op":"add","path":"/spec/hostnameOverride","value":"x"}]`, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := patchtest.NewChecker(t, test.deny).Check(t.Context(), "ns", json.RawMessage(patchtest.Rich), patchtest.Ops(t, test.ops))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDeniedByOtherNames changes a denied field from where the API server sets it, too.
func TestDeniedByOtherNames(t *testing.T) {
	const apparmor = "/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1main"
	annotation := `[{"op":"add","path":"` + apparmor + `","value":"unconfined"}]`
	for sentence, test := range map[string]struct {
		deny, ops string
		refused   bool
	}{
		"the old name of the service account":        {"/spec/serviceAccountName", `[{"op":"replace","path":"/spec/serviceAccount","value":"x"}]`, true},
		"the old name, by a star":                    {"/*/serviceAccountName", `[{"op":"remove","path":"/spec/serviceAccount"}]`, true},
		"the new name":                               {"/spec/serviceAccount", `[{"op":"replace","path":"/spec/serviceAccountName","value":"x"}]`, true},
		"AppArmor, by annotation":                    {"/spec/containers/*/securityContext", annotation, true},
		"AppArmor, of one container":                 {"/spec/containers/0/securityContext", annotation, true},
		"AppArmor, by the name of the profile":       {"/spec/initContainers/*/securityContext/appArmorProfile/type", annotation, true},
		"AppArmor, within all annotations":           {"/spec/containers/*/securityContext", `[{"op":"add","path":"/metadata/annotations","value":{"a/b":"1","c~d":"2","container.apparmor.security.beta.kubernetes.io/side":null}}]`, true},
		"AppArmor, moved there":                      {"/spec/containers/*/securityContext", `[{"op":"move","from":"/metadata/annotations/a~1b","path":"` + apparmor + `"}]`, true},
		"AppArmor, and nothing of it is denied":      {"/spec/containers/*/securityContext/privileged", annotation, false},
		"another annotation":                         {"/spec/containers/*/securityContext", `[{"op":"add","path":"/metadata/annotations/x","value":"unconfined"}]`, false},
		"all annotations, without those of AppArmor": {"/spec/containers/*/securityContext", `[{"op":"add","path":"/metadata/annotations","value":{"a/b":"1","c~d":"3"}}]`, false},
		"but the class that the priority comes from": {"/spec/priority", `[{"op":"add","path":"/spec/priorityClassName","value":"x"}]`, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := patchtest.NewChecker(t, test.deny).Check(t.Context(), "ns", json.RawMessage(patchtest.Rich), patchtest.Ops(t, test.ops))
			if want := fmt.Sprintf("an endpoint may not change %q (AMP_PATCH_DENY)", test.deny); (err != nil) != test.refused || err != nil && !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%v, refused should be %t", err, test.refused)
			}
		})
	}
}

func TestParsePlacesNamesEachBadPointer(t *testing.T) {
	_, err := rules.ParsePlaces([]string{"/spec/nodeName", "spec/nodeName", "", "/a~"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, bad := range []string{`"spec/nodeName" is not a JSON pointer`, `"" is not a JSON pointer`, `"/a~" is not a JSON pointer`} {
		if !strings.Contains(err.Error(), bad) {
			t.Errorf("%q is not in %q", bad, err)
		}
	}
	if strings.Contains(err.Error(), `"/spec/nodeName" is not`) {
		t.Errorf("a good pointer is called bad: %v", err)
	}
}
