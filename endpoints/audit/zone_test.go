package audit

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestChartsNameTheirTimes: buckets begin at full hours and days of UTC. In axis, tooltip and tables they have the reader's time,
// and where a bucket is a day or longer, both ends have their dates.
func TestChartsNameTheirTimes(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Retention: Forever})
	post(t, s, worker("w1", 0))
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	for name, tc := range map[string]struct {
		zone, from string
		bucket     string // that of noon UTC on 1 March
		axis       string // each label; the first one may have a date besides
	}{
		"30 days, west of Greenwich": {"America/New_York", "30d", "Feb 28, 19:00–Mar 1, 19:00", `^[A-Z][a-z]+ \d+, 19:00$`},
		"30 days, east of it":        {"Asia/Kolkata", "30d", "Mar 1, 05:30–Mar 2, 05:30", `^[A-Z][a-z]+ \d+, 05:30$`},
		"30 days, UTC":               {"UTC", "30d", "Mar 1, 00:00–Mar 2, 00:00", `^[A-Z][a-z]+ \d+, 00:00$`},
		"two years":                  {"America/New_York", "730d", "Feb 5, 2026, 19:00–Mar 7, 2026, 19:00", `^[A-Z][a-z]+ \d+, 202\d, (19|20):00$`},
		"a week":                     {"America/New_York", "7d", "Mar 1, 07:00–10:00", `^[A-Z][a-z]+ \d+, \d\d:00$`},
		"two days":                   {"America/New_York", "48h", "Mar 1, 07:00–08:00", `^([A-Z][a-z]+ \d+, )?\d\d:00$`},
		"an hour":                    {"America/New_York", "2h", "Mar 1, 07:00–07:05", `^\d\d:\d\d$`},
	} {
		b.zone(tc.zone)
		b.open(address(base, "from", tc.from))
		b.wait(`document.querySelector("#outcomechart rect.stack") && document.querySelector("#latencychart svg") && document.querySelectorAll(".data table").length === 3`)
		for _, chart := range []string{"#outcomechart", "#latencychart"} {
			tip := b.eval(fmt.Sprintf(`[...document.querySelectorAll("%s .hit")].map((hit) => {
				hit.dispatchEvent(new PointerEvent("pointerenter"));
				const tip = document.querySelector("%[1]s .tip").innerText;
				hit.dispatchEvent(new PointerEvent("pointerleave"));
				return tip;
			}).find((tip) => tip.includes("mutated 1") || tip.includes("1 call"))`, chart))
			if head, _, _ := strings.Cut(fmt.Sprint(tip), "\n"); head != tc.bucket {
				t.Errorf("%s: the tooltip of %s is headed %q, want %q", name, chart, head, tc.bucket)
			}
			// Labels do not run into each other, and not out of the chart.
			labels := fmt.Sprint(b.eval(fmt.Sprintf(`(() => {
				const labels = [...document.querySelectorAll("%s svg text:not([text-anchor])")], box = (e) => e.getBoundingClientRect();
				const fit = labels.every((e, i) => box(e).right <= (i + 1 < labels.length ? box(labels[i + 1]).left - 4 : box(e.ownerSVGElement).right + 8));
				return labels.map((e) => e.textContent).join("\n") + (fit ? "" : "\ndo not fit");
			})()`, chart)))
			for label := range strings.SplitSeq(labels, "\n") {
				if !regexp.MustCompile(tc.axis).MatchString(label) {
					t.Errorf("%s: the axis of %s has %q, want %s", name, chart, label, tc.axis)
				}
			}
		}
		cells := fmt.Sprint(b.eval(`[...document.querySelectorAll("#outcomechart .data td:first-child, #latencychart .data table:nth-child(2) td:first-child")].map((td) => td.textContent).join("\n")`))
		if cells != tc.bucket+"\n"+tc.bucket {
			t.Errorf("%s: the tables have %q, want twice %q", name, cells, tc.bucket)
		}
		b.shot("zone-"+strings.ReplaceAll(name, " ", "-"), false)
	}
	b.clean()
}
