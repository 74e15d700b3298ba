package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestAnnotationKeys(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a malformed annotation key": {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/-x","value":"x"}]`, `op 1 (add "/metadata/annotations/-x"): annotation key "-x" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends; a DNS name and a slash may come first`},
	})
}

func TestAnnotationKeysAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"an annotation key in upper case": {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/A.B~1c","value":"x"}]`},
	})
}
