package audit

import (
	"fmt"
	"testing"
	"time"
)

// TestOlderEventsAreThereAfterTheListWasCut: the list has 500 rows at most. What was cut off at its end can be read again.
func TestOlderEventsAreThereAfterTheListWasCut(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	b := newBrowser(t, 1280, 900)
	batch := func(from, n int) {
		var all []ev
		for i := from; i < from+n; i++ {
			all = append(all, failing(fmt.Sprint(i), float64(i/2))) // two of each time
		}
		post(t, s, all...)
	}
	batch(0, 60)
	b.open(serve(t, s) + "/")
	b.wait(`document.querySelector("#state").textContent === "Live" && document.querySelectorAll("#rows tr").length === 50`)
	batch(60, 460)
	b.wait(`document.querySelectorAll("#rows tr").length === 500`)
	if hidden := b.eval(`document.querySelector("#more").hidden`); hidden != false {
		t.Fatal("Older is gone")
	}
	b.eval(`document.querySelector("#more").click()`)
	b.wait(`document.querySelector("#say").textContent === "20 older events" && document.querySelectorAll("#rows tr").length === 520`)
	if hidden := b.eval(`document.querySelector("#more").hidden`); hidden != true {
		t.Error("there are no more")
	}
	if sorted := b.eval(`[...document.querySelectorAll("#rows tr")].every((tr, i, all) => !i || Date.parse(all[i - 1].item.time) >= Date.parse(tr.item.time))`); sorted != true {
		t.Error("they are out of order")
	}
	b.clean()
}

// TestOlderEndsWhereTheFilterBegins: the last 15 minutes go on while the page is open, so that the last row may be older.
func TestOlderEndsWhereTheFilterBegins(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	now := time.Since(start).Seconds()
	var all []ev
	for i := range 60 {
		all = append(all, failing(fmt.Sprint(i), now-1+float64(i)/100))
	}
	post(t, s, all...)
	b := newBrowser(t, 1280, 900)
	b.open(serve(t, s) + "/?from=1m")
	b.wait(`document.querySelectorAll("#rows tr").length === 50 && !document.querySelector("#more").hidden`)
	b.eval(`const day = 86400e3, now = Date.now; Date.now = () => now() + day; document.querySelector("#more").click()`)
	b.wait(`document.querySelector("#more").hidden && document.querySelector("#say").textContent === "No older events"`)
	b.clean()
}
