// Package eventstest checks events against their JSON Schema. Only tests import it.
package eventstest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/txn2/amp/endpoints/events"
)

// Check fails the test unless data is valid by [events.Schema].
func Check(t testing.TB, data []byte) {
	t.Helper()
	if err := Validate(data); err != nil {
		t.Errorf("the event's data is not valid by its schema: %v\n%s", err, data)
	}
}

// Validate returns why data is not valid by [events.Schema], nil if it is valid. Data that is not one JSON
// value is an error too.
func Validate(data []byte) error {
	schema, err := compiled()
	if err != nil {
		return fmt.Errorf("compiling the schema of events: %w", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("reading the data: %w", err)
	}
	return schema.Validate(value)
}

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) { return compile(events.Schema) })

// compile compiles a schema in which the draft defines every keyword.
func compile(text []byte) (*jsonschema.Schema, error) {
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	strict, err := compileAs(strictURL, strictSchema)
	if err != nil {
		return nil, err
	}
	if err := strict.Validate(schema); err != nil {
		return nil, err
	}
	return compileAs(events.SchemaURL, string(text))
}

// strictSchema is the draft's schema for schemas, without its exception for unknown keywords: the draft
// ignores a keyword that it does not define, so a misspelt one would check nothing.
const (
	strictURL    = "https://amp.txn2.com/schemas/strict.json"
	strictSchema = `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id": "` + strictURL + `",
		"$dynamicAnchor": "meta",
		"$ref": "https://json-schema.org/draft/2020-12/schema",
		"unevaluatedProperties": false
	}`
)

func compileAs(url, text string) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // It loads nothing: a test does not depend on the network.
	if err := c.AddResource(url, document); err != nil {
		return nil, err
	}
	return c.Compile(url)
}
