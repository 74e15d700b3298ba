package jsonpointer_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/txn2/amp/endpoints/jsonpointer"
)

func TestPointers(t *testing.T) {
	for pointer, keys := range map[string][]string{
		"":                       nil,
		"/":                      {""},
		"//":                     {"", ""},
		"/spec/containers/0":     {"spec", "containers", "0"},
		"/a~1b/c~0d":             {"a/b", "c~d"},
		"/~01":                   {"~1"}, // not a slash: ~0 is read first
		"/~1~0~1":                {"/~/"},
		"/é/ /\n":                {"é", " ", "\n"},
		"/metadata/labels/a.b~1": {"metadata", "labels", "a.b/"},
	} {
		got, err := jsonpointer.Parse(pointer)
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("Parse(%q) = %q, %v; want %q", pointer, got, err, keys)
		}
		if got := jsonpointer.Format(keys...); got != pointer {
			t.Errorf("Format(%q) = %q, want %q", keys, got, pointer)
		}
	}
}

func TestPointersThatAreNotValid(t *testing.T) {
	for pointer, want := range map[string]error{
		"spec":     jsonpointer.ErrNoSlash,
		"~1spec":   jsonpointer.ErrNoSlash,
		"/a\xff":   jsonpointer.ErrUTF8,
		"/a~":      jsonpointer.ErrEscape,
		"/a~2b":    jsonpointer.ErrEscape,
		"/a~~1":    jsonpointer.ErrEscape,
		"/ok/a~/b": jsonpointer.ErrEscape,
	} {
		if keys, err := jsonpointer.Parse(pointer); !errors.Is(err, want) || keys != nil {
			t.Errorf("Parse(%q) = %q, %v; want the error %q", pointer, keys, err, want)
		}
	}
}

func TestUnescapeLeavesWhatIsNotAnEscape(t *testing.T) {
	for segment, want := range map[string]string{"a": "a", "a~": "a~", "~2": "~2", "~01": "~1", "~10": "/0"} {
		if got := jsonpointer.Unescape(segment); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", segment, got, want)
		}
	}
}
