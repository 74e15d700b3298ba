package certificates

import (
	"testing"
	"time"
)

// FuzzRead has anything in the Secret: what comes of it can be written, and read again as the same.
func FuzzRead(f *testing.F) {
	now := time.Now()
	serving, next := pair(f, now, time.Hour), pair(f, now, time.Hour)
	data := Stored{Serving: serving, Next: next, CAs: cas(next, serving)}.write(nil)
	f.Add(data[keyCert], data[keyKey], data[keyCAs], data[keyNextCert], data[keyNextKey])
	f.Add(data[keyCert], data[keyNextKey], data[keyCAs], []byte("garbage"), []byte(nil))
	f.Add([]byte(nil), []byte(nil), data[keyCAs], data[keyNextCert], data[keyNextKey])
	f.Fuzz(func(t *testing.T, cert, key, cas, nextCert, nextKey []byte) {
		s, err := read(map[string][]byte{keyCert: cert, keyKey: key, keyCAs: cas, keyNextCert: nextCert, keyNextKey: nextKey}, now)
		if (err == nil) != (s.Serving != nil) {
			t.Fatalf("a pair to be served: %v, error %v", s.Serving != nil, err)
		}
		written := s.write(nil)
		again, _ := read(written, now)
		if !sameData(again.write(nil), written) || (s.Next != nil) != (again.Next != nil) || s.Serving != nil && !s.Serving.same(again.Serving) {
			t.Error("what was written is read as something else")
		}
	})
}

func TestWriteKeepsOtherKeys(t *testing.T) {
	p := pair(t, start, time.Hour)
	before := map[string][]byte{"other": []byte("x"), keyNextCert: []byte("old"), keyNextKey: []byte("old")}
	data := Stored{Serving: p, CAs: cas(p)}.write(before)
	if string(data["other"]) != "x" || len(data) != 4 || len(before) != 3 {
		t.Errorf("it writes %q over %q", data, before)
	}
}
