package callout

import (
	"testing"
	"time"
)

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1499700 * time.Microsecond: "1.5s",
		1234 * time.Millisecond:    "1.23s",
		749800 * time.Microsecond:  "750ms",
		1300 * time.Microsecond:    "1ms",
	} {
		if got := short(d); got != want {
			t.Errorf("%d ns: %s, want %s", d, got, want)
		}
	}
}
