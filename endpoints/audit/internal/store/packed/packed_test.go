package packed

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

var (
	item  = []byte(`{"id":"0b6f1c1e-93a5-4a0e-8a55-9b0e6f1d7c01","source":"https://amp.txn2.com/proxy","type":"com.txn2.amp.pod.mutated.v1","namespace":"jhub"}`)
	event = []byte(`{"specversion":"1.0","id":"0b6f1c1e-93a5-4a0e-8a55-9b0e6f1d7c01","source":"https://amp.txn2.com/proxy","type":"com.txn2.amp.pod.mutated.v1"}`)
)

func TestWhatIsPackedIsReadAgain(t *testing.T) {
	t.Parallel()
	long := []byte(`{"x":"` + strings.Repeat("0123456789 ", 100_000) + `"}`)
	for name, tc := range map[string]struct{ item, event []byte }{
		"an event":               {item, event},
		"a long event":           {item, long},
		"a long item":            {long, event},
		"bytes that end a flush": {append([]byte("{"), flushed...), append([]byte("{"), flushed...)},
		"nothing":                {[]byte{}, []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, e := new(Packer).Pack(tc.item, tc.event)
			if got, err := Item(i); err != nil || !bytes.Equal(got, tc.item) {
				t.Errorf("the item is %.200s, %v", got, err)
			}
			if got, err := Event(i, e); err != nil || !bytes.Equal(got, tc.event) {
				t.Errorf("the event is %.200s, %v", got, err)
			}
			if Size(i) != len(tc.item) || Size(e) != len(tc.event) {
				t.Errorf("the sizes are %d and %d, want %d and %d", Size(i), Size(e), len(tc.item), len(tc.event))
			}
		})
	}
}

// TestStoredTextsStayReadable: a text as a program has stored it. If this fails, a form or a dictionary was changed, and what is
// stored cannot be read any more: a change is a new form.
func TestStoredTextsStayReadable(t *testing.T) {
	t.Parallel()
	stored, err := os.ReadFile("testdata/form1.hex")
	if err != nil {
		t.Fatal(err)
	}
	i, e, _ := strings.Cut(strings.TrimSpace(string(stored)), "\n")
	packedItem, err := hex.DecodeString(i)
	if err != nil {
		t.Fatal(err)
	}
	packedEvent, err := hex.DecodeString(e)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Item(packedItem); err != nil || !bytes.Equal(got, item) {
		t.Errorf("the item is %s, %v", got, err)
	}
	if got, err := Event(packedItem, packedEvent); err != nil || !bytes.Equal(got, event) {
		t.Errorf("the event is %s, %v", got, err)
	}
}

func TestTextsOfEarlierSchemasAreAsTheyCame(t *testing.T) {
	t.Parallel()
	if got, err := Item(item); err != nil || !bytes.Equal(got, item) || Size(item) != len(item) {
		t.Errorf("the item is %s of %d bytes, %v", got, Size(item), err)
	}
	if got, err := Event(item, event); err != nil || !bytes.Equal(got, event) {
		t.Errorf("the event is %s, %v", got, err)
	}
}

func TestDamagedTextsAreErrors(t *testing.T) {
	t.Parallel()
	i, e := new(Packer).Pack(item, event)
	for name, tc := range map[string]struct{ item, event []byte }{
		"cut off":                    {i, e[:len(e)/2]},
		"of a later form":            {i, append([]byte{9}, e[1:]...)},
		"with an item of another":    {item, e},
		"with a length past reason":  {i, append([]byte{deflate, 0xff, 0xff, 0xff, 0xff, 0x7f}, e[2:]...)},
		"with an item that is short": {i[:len(i)/2], e},
	} {
		if got, err := Event(tc.item, tc.event); err == nil {
			t.Errorf("%s: no error, and the text %.100s", name, got)
		}
	}
	for n := range len(i) {
		if got, err := Item(i[:n]); err == nil && n > 0 && !bytes.Equal(got, item) {
			t.Errorf("an item cut off at %d: no error, and the text %.100s", n, got)
		}
	}
}

// BenchmarkPack packs and reads an event as amp sends it (docs/events.md). It reports how small it gets.
func BenchmarkPack(b *testing.B) {
	text, err := os.ReadFile("testdata/mutated.txt")
	if err != nil {
		b.Fatal(err)
	}
	item, event, _ := bytes.Cut(text, []byte("\n"))
	event = bytes.TrimSpace(event)
	var p Packer
	i, e := p.Pack(item, event)
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			p.Pack(item, event)
		}
		b.ReportMetric(float64(len(item)), "item")
		b.ReportMetric(float64(len(i)), "packed-item")
		b.ReportMetric(float64(len(event)), "event")
		b.ReportMetric(float64(len(e)), "packed-event")
	})
	b.Run("read the item", func(b *testing.B) {
		for b.Loop() {
			if _, err := Item(i); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read the event", func(b *testing.B) {
		for b.Loop() {
			if _, err := Event(i, e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
