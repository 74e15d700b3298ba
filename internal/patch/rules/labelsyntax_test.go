package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestLabelSyntax(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a malformed label key":     {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/a b","value":"x"}]`, `op 1 (add "/metadata/labels/a b"): label key "a b" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends; a DNS name and a slash may come first`},
		"a malformed label value":   {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/app","value":"x y"}]`, `op 1 (add "/metadata/labels/app"): the value of label "app" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends`},
		"a label key in upper case": {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/A.B~1c","value":"x"}]`, `op 1 (add "/metadata/labels/A.B~1c"): label key "A.B/c" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends; a DNS name and a slash may come first`},
	})
}

func TestLabelSyntaxAccepts(t *testing.T) {
	was := strings.Replace(patchtest.Rich, `"labels":{"app":"w"}`, `"labels":{"app":"w x","a b":"c"}`, 1)
	patchtest.Accepted(t, map[string]patchtest.Case{
		"an empty label value":                         {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/x","value":""}]`},
		"a key and a value that were malformed before": {was, `[{"op":"add","path":"/metadata/labels","value":{"app":"w x","a b":"d"}}]`},
	})
}
