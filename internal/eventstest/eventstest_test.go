package eventstest

import (
	"strings"
	"testing"
)

func TestCompile(t *testing.T) {
	for name, test := range map[string]struct{ schema, want string }{
		"a schema that the draft defines":   {`{"type": "object", "properties": {"a": {"minLength": 1}}}`, ""},
		"a misspelt keyword":                {`{"minLenght": 1}`, "minLenght"},
		"a misspelt keyword, further down":  {`{"allOf": [{"if": {"properties": {"a": {"minLenght": 1}}}}]}`, "minLenght"},
		"a keyword with a bad value":        {`{"minLength": -1}`, "minLength"},
		"a reference that leads nowhere":    {`{"$ref": "#/$defs/a"}`, "$defs/a"},
		"a reference to another schema":     {`{"$ref": "https://example.com/a.json"}`, "https://example.com/a.json"},
		"two JSON values":                   {`{} {}`, "after top-level value"},
		"a pattern that is not a valid one": {`{"pattern": "("}`, "("},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compile([]byte(test.schema))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want an error that names %q", err, test.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for name, data := range map[string]string{
		"not JSON":          `{`,
		"two JSON values":   `{} {}`,
		"not an event":      `{}`,
		"not a JSON object": `[]`,
	} {
		if Validate([]byte(data)) == nil {
			t.Errorf("%s is valid", name)
		}
	}
}
