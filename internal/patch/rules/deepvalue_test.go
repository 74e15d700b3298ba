package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestDeepValue(t *testing.T) {
	deep := strings.Repeat(`[`, 101) + strings.Repeat(`]`, 101)
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a value that nests too deep": {patchtest.Bare, `[{"op":"add","path":"/spec/x","value":` + deep + `}]`, `op 1 (add "/spec/x"): its value nests deeper than 100 levels; no field of a Pod does`},
	})
}

func TestDeepValueAccepts(t *testing.T) {
	deep := strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100)
	patchtest.Warned(t, map[string]patchtest.Warning{
		"a value of 100 levels": {
			Pod: patchtest.Bare, Ops: `[{"op":"add","path":"/spec/x","value":` + deep + `}]`,
			Warnings: []string{`op 1 (add "/spec/x"): spec.x is unknown to amp's Kubernetes 1.36 API`},
		},
	})
}
