package apply_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/apply"
)

func TestNoField(t *testing.T) {
	for pointer, want := range map[string]string{
		"/spec":                                   "",
		"/spec/nodeName":                          "",
		"/spec/containers/*/securityContext":      "",
		"/spec/containers/0/env/10/valueFrom":     "",
		"/spec/*/nosuch":                          "", // of nodeSelector
		"/spec/*/0/image":                         "",
		"/*/name":                                 "",
		"/metadata/annotations/x":                 "",
		"/metadata/annotations/amp.txn2.com~1x":   "",
		"/metadata/labels/*":                      "",
		"/spec/nodeSelector/any":                  "",
		"/spec/containers/*/resources/limits/cpu": "",
		"/spec/volumes/*/hostPath":                "",
		"/spec/volumes/*/hostPath/path":           "",
		"/apiVersion":                             "",
		"/status/phase":                           "",
		"/metadata/managedFields/0/fieldsV1":      "",

		"/spec/nodename":                            `/spec has no "nodename"; the nearest known is /spec/nodeName`,
		"/spec/container/0/image":                   `/spec has no "container"; the nearest known is /spec/containers`,
		"/Spec/nodeName":                            `a Pod has no "Spec"; the nearest known is /spec`,
		"/spec/containers/*/imagee":                 `/spec/containers/* has no "imagee"; the nearest known is /spec/containers/*/image`,
		"/spec/containers/main/image":               `/spec/containers is a list; write an index or * instead of "main"`,
		"/spec/containers/-/image":                  `/spec/containers is a list; write an index or * instead of "-"`,
		"/spec/containers/-1/image":                 `/spec/containers is a list; write an index or * instead of "-1"`,
		"/spec/containers/00/image":                 `/spec/containers is a list; write an index or * instead of "00"`,
		"/spec/containers/+0/image":                 `/spec/containers is a list; write an index or * instead of "+0"`,
		"/metadata/annotations/amp.txn2.com/x":      `/metadata/annotations/amp.txn2.com has no fields; write a / within a key as ~1`,
		"/spec/nodeName/x":                          `/spec/nodeName has no fields; write a / within a key as ~1`,
		"/spec/containers/*/resources/limits/cpu/x": `/spec/containers/*/resources/limits/cpu has no fields; write a / within a key as ~1`,
		"/spec/*/0/nosuch":                          `no field of /spec has what follows`,
		"/":                                         `a Pod has no ""; the nearest known is /kind`,
	} {
		pattern, err := apply.ParsePointer(pointer)
		if err != nil {
			t.Fatal(pointer, err)
		}
		if got := apply.NoField(pattern); got != want {
			t.Errorf("%s: %q, want %q", pointer, got, want)
		}
	}
}

func BenchmarkNoField(b *testing.B) {
	pattern, err := apply.ParsePointer("/spec/serviceAccountName")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		apply.NoField(pattern)
	}
}
