// Package packed makes an item and an event small, as the stores keep them. It compresses with a dictionary: the texts of events
// are alike, and each of them is too short to be compressed by itself.
package packed

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// A packed text is its form in a byte, the length of the text as a varint, and the compressed text. The item and the event are
// one stream of DEFLATE, cut behind the item: an event repeats most of its item. The item can be read alone.
//
// Texts of schemas before this package are as they came. They are JSON objects, so they begin with a brace.
const (
	plain   = '{'
	deflate = 1 // with dictionary1
)

// dictionary1 holds what events have in common, what is frequent at its end. It never changes, because stored texts need it: a
// better one is a new form.
//
//go:embed dictionary1.txt
var dictionary1 []byte

// level is flate's default. The highest one takes 1.6 times as long for 2 % less.
const level = 6

// flushed is how a flushed stream ends. It says nothing, so it is left out.
var flushed = []byte{0, 0, 0xff, 0xff}

// maxText bounds the length that a packed text may name. It is more than store.MaxEvent: before there was that bound, events grew
// when they were stored.
const maxText = 4 * store.MaxEvent

var errDamaged = errors.New("the stored text is damaged")

// A Packer packs one event after the other: to make one costs more than to use it. The zero value is ready. One goroutine at a
// time may use it.
type Packer struct {
	w *flate.Writer
	b bytes.Buffer
}

// Pack packs the text of an item, and of the event that it is from.
func (p *Packer) Pack(item, event []byte) (packedItem, packedEvent []byte) {
	if p.w == nil {
		p.w, _ = flate.NewWriterDict(&p.b, level, dictionary1) // the level is valid
	}
	p.b.Reset()
	p.w.Reset(&p.b)
	// A buffer takes everything, so there are no errors.
	_, _ = p.w.Write(item)
	_ = p.w.Flush()
	cut := p.b.Len()
	_, _ = p.w.Write(event)
	_ = p.w.Close()
	all := p.b.Bytes()
	return form(len(item), bytes.TrimSuffix(all[:cut], flushed)), form(len(event), all[cut:])
}

func form(length int, compressed []byte) []byte {
	b := make([]byte, 0, 1+binary.MaxVarintLen32+len(compressed))
	return append(binary.AppendUvarint(append(b, deflate), uint64(length)), compressed...)
}

// Size returns the length of the text. It does not unpack it.
func Size(b []byte) int {
	_, n, err := parse(b)
	if err != nil {
		return len(b)
	}
	return n
}

// parse returns what is compressed, and the length of the text. Of a text that is as it came it returns nil.
func parse(b []byte) (compressed []byte, length int, err error) {
	if len(b) == 0 || b[0] != deflate {
		if len(b) > 0 && b[0] != plain {
			return nil, 0, fmt.Errorf("%w: its form is %d, this amp knows 1", errDamaged, b[0])
		}
		return nil, len(b), nil
	}
	n, used := binary.Uvarint(b[1:])
	if used <= 0 || n > maxText {
		return nil, 0, errDamaged
	}
	return b[1+used:], int(n), nil
}

// Item returns the text of a packed item.
func Item(b []byte) ([]byte, error) {
	compressed, n, err := parse(b)
	if err != nil || compressed == nil {
		return b, err
	}
	return unpack(n, 0, bytes.NewReader(compressed))
}

// maxItem is more than an item can have that came as a request. Of a larger one, only the calls can be large.
const maxItem = 512 << 10

// DecodeItem reads a packed item, of one that is too large without its calls.
func DecodeItem(b []byte) (*store.Item, error) {
	text, err := Item(b)
	if err != nil {
		return nil, err
	}
	item, err := store.DecodeItem(text)
	if len(text) > maxItem {
		item.Endpoints = []store.Call{}
	}
	return item, err
}

// Event returns the text of a packed event. It needs the item that the event was packed with.
func Event(item, event []byte) ([]byte, error) {
	compressed, n, err := parse(event)
	if err != nil || compressed == nil {
		return event, err
	}
	before, skip, err := parse(item)
	if err != nil {
		return nil, err
	}
	if before == nil {
		return nil, errDamaged
	}
	return unpack(n, skip, io.MultiReader(bytes.NewReader(before), bytes.NewReader(flushed), bytes.NewReader(compressed)))
}

var unpackers = sync.Pool{New: func() any { return flate.NewReaderDict(bytes.NewReader(nil), dictionary1) }}

// unpack returns the n bytes of a text behind the first skip bytes.
func unpack(n, skip int, compressed io.Reader) ([]byte, error) {
	r := unpackers.Get().(io.Reader)
	defer unpackers.Put(r)
	if err := r.(flate.Resetter).Reset(compressed, dictionary1); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, int64(skip)); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return text, nil
}
