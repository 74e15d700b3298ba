package describe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
)

// maxCopied bounds what copy operations may add to a Pod, in bytes: an event that a stranger wrote must not
// double itself without end. It is the API server's own limit, and amp's.
const maxCopied = 3 << 20

// Why an operation does not apply.
var (
	errNothing  = errors.New("there is nothing at that place")
	errIndex    = errors.New("the list has no such element")
	errWhole    = errors.New("it is about the whole Pod")
	errNoValue  = errors.New("it has no valid value")
	errDiffers  = errors.New("the Pod has another value there")
	errTooLarge = errors.New("copies would add more than 3 MiB")
)

// A document is a Pod, as far as it is known: below level Full it holds only what the patch itself tells.
type document struct {
	root   any // as encoding/json decodes it, numbers as json.Number
	copied int // bytes of JSON, by copy operations
}

// known returns the Pod of an event, an empty one if the event holds none.
func known(d *events.Data) *document {
	root, err := decode(d.Object)
	if err != nil {
		root = map[string]any{}
	}
	return &document{root: root}
}

// decode reads JSON and keeps numbers as they are written.
func decode(text []byte) (any, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more than one value")
	}
	return v, nil
}

// follow applies an operation if that is possible. Of a Pod that is not known, most of it is not.
func (d *document) follow(op *events.Op) { _ = d.apply(op) }

// apply applies an operation (RFC 6902) in the way of the API server's library: "replace" and "copy" take a
// member that an object lacks for null, and an index below 0 counts from the end. It is stricter where an
// operation of amp's cannot be: a pointer has to be valid, and a value has to be there. After an error the
// document may lack what a "move" took away, and is else unchanged.
func (d *document) apply(op *events.Op) error {
	keys, err := jsonpointer.Parse(op.Path)
	if err != nil {
		return fmt.Errorf("its path is not valid: %w", err)
	}
	switch op.Op {
	case "add", "replace", "test":
		value, err := decode(op.Value)
		if err != nil {
			return errNoValue
		}
		switch op.Op {
		case "add":
			return d.edit(keys, insert(value))
		case "replace":
			return d.replace(keys, value)
		}
		is, err := d.at(keys)
		if err == nil && !reflect.DeepEqual(is, value) {
			err = errDiffers
		}
		return err
	case "remove":
		return d.edit(keys, remove)
	case "move", "copy":
		from, err := jsonpointer.Parse(op.From)
		if err != nil {
			return fmt.Errorf("its from is not valid: %w", err)
		}
		if len(from) == 0 {
			return errWhole
		}
		value, err := d.at(from)
		if err != nil {
			return err
		}
		if op.Op == "copy" {
			value, err = d.copy(value)
		} else {
			err = d.edit(from, remove)
		}
		if err != nil {
			return err
		}
		return d.edit(keys, insert(value))
	}
	return fmt.Errorf("there is no operation %q", op.Op)
}

func (d *document) replace(keys []string, value any) error {
	if len(keys) > 0 {
		return d.edit(keys, func(holder any, key string) (any, error) { return put(holder, key, value) })
	}
	switch value.(type) {
	case map[string]any, []any:
		d.root = value
		return nil
	}
	return errNoValue
}

// copy returns a value that shares nothing with v, since later operations change the one and not the other.
func (d *document) copy(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		all := make(map[string]any, len(v))
		for key, inner := range v {
			d.copied += len(key) + len(`"":,`)
			inner, err := d.copy(inner)
			if err != nil {
				return nil, err
			}
			all[key] = inner
		}
		return all, d.count(len("{}"))
	case []any:
		all := make([]any, len(v))
		for i, inner := range v {
			inner, err := d.copy(inner)
			if err != nil {
				return nil, err
			}
			all[i] = inner
		}
		return all, d.count(len("[]") + len(v))
	case string:
		return v, d.count(len(v) + len(`""`))
	case json.Number:
		return v, d.count(len(v))
	}
	return v, d.count(len("null"))
}

// count adds to what was copied.
func (d *document) count(bytes int) error {
	if d.copied += bytes; d.copied > maxCopied {
		return errTooLarge
	}
	return nil
}

// at returns what is at a place. A member that an object lacks is null.
func (d *document) at(keys []string) (any, error) {
	v, err := d.root, error(nil)
	for _, key := range keys {
		if v, err = member(v, key); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func member(holder any, key string) (any, error) {
	switch holder := holder.(type) {
	case map[string]any:
		return holder[key], nil
	case []any:
		i, err := index(key, len(holder))
		if err != nil {
			return nil, err
		}
		return holder[i], nil
	}
	return nil, errNothing
}

// index reads the place of an element in a list of n.
func index(key string, n int) (int, error) {
	i, err := strconv.Atoi(key)
	if i < 0 {
		i += n
	}
	if err != nil || i < 0 || i >= n {
		return 0, errIndex
	}
	return i, nil
}

// edit lets change change the object or list that holds the place of keys, and puts what it returns into that
// one's place.
func (d *document) edit(keys []string, change func(holder any, key string) (any, error)) error {
	if len(keys) == 0 {
		return errWhole
	}
	root, err := edit(d.root, keys, change)
	if err == nil {
		d.root = root
	}
	return err
}

func edit(holder any, keys []string, change func(holder any, key string) (any, error)) (any, error) {
	if len(keys) == 1 {
		return change(holder, keys[0])
	}
	inner, err := member(holder, keys[0])
	if err != nil {
		return nil, err
	}
	if inner, err = edit(inner, keys[1:], change); err != nil {
		return nil, err
	}
	return put(holder, keys[0], inner)
}

// put sets a member of an object, or an element that a list has.
func put(holder any, key string, value any) (any, error) {
	switch holder := holder.(type) {
	case map[string]any:
		holder[key] = value
		return holder, nil
	case []any:
		i, err := index(key, len(holder))
		if err != nil {
			return nil, err
		}
		holder[i] = value
		return holder, nil
	}
	return nil, errNothing
}

// insert returns a change that sets a member of an object, or adds an element to a list.
func insert(value any) func(holder any, key string) (any, error) {
	return func(holder any, key string) (any, error) {
		list, ok := holder.([]any)
		if !ok {
			return put(holder, key, value)
		}
		if key == "-" {
			return append(list, value), nil
		}
		i, err := index(key, len(list)+1)
		if err != nil {
			return nil, err
		}
		return slices.Insert(list, i, value), nil
	}
}

func remove(holder any, key string) (any, error) {
	switch holder := holder.(type) {
	case map[string]any:
		if _, ok := holder[key]; !ok {
			return nil, errNothing
		}
		delete(holder, key)
		return holder, nil
	case []any:
		i, err := index(key, len(holder))
		if err != nil {
			return nil, err
		}
		return slices.Delete(holder, i, i+1), nil
	}
	return nil, errNothing
}
