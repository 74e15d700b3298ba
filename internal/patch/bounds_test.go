package patch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// elements are n values with commas between them.
func elements(value string, n int) string {
	return strings.TrimSuffix(strings.Repeat(value+",", n), ",")
}

// podWith is a Pod with further fields of its spec.
func podWith(spec string) string {
	return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns"},"spec":{"containers":[{"name":"main","image":"i"}]` + spec + `}}`
}

const (
	moved   = "moves more than 1,000,000 elements"
	copied  = "copy more than 20,000,000 elements"
	visited = "moves, copies and tests more than 1,000,000 values"
	many    = "more than 100,000 values"
	deep    = "too much for the depth"
	decoded = "too many elements for amp to read them"
)

// TestWorkIsBounded is about patches within all limits of size that once took seconds of a processor, or gigabytes. Most
// memory is gone before the end, so the test bounds all that a check ever takes.
func TestWorkIsBounded(t *testing.T) {
	const groups = "/spec/securityContext/supplementalGroups"
	groupsPod := func(n int) string {
		return podWith(`,"securityContext":{"supplementalGroups":[` + elements("1", n) + `]}`)
	}
	members := func(n int, format string) string {
		return "{" + strings.Join(strings.Fields(fmt.Sprint(repeatText(n, format))), ",") + "}"
	}
	bigText := podWith(`,"x":"` + strings.Repeat("x", 2_900_000) + `"`)
	levels := strings.Repeat("/a", 60)
	nested := strings.Repeat(`{"a":`, 60) + `{"z":"` + strings.Repeat("y", 700_000) + `"}` + strings.Repeat("}", 60)
	move := func(from, path string) review.Op { return review.Op{Op: "move", From: from, Path: path} }
	test := func(path, value string) review.Op {
		return review.Op{Op: "test", Path: path, Value: json.RawMessage(value)}
	}
	label := add("/metadata/labels/x", `"y"`)
	for sentence, c := range map[string]struct {
		pod  string
		ops  []review.Op
		want string // a part of the failure, "" for none
	}{
		"a list of 150,000, then 9,000 inserts at its front": {podWith(""), append([]review.Op{add("/spec/x", "["+elements("1", 150_000)+"]")}, repeat(9_000, func(int) review.Op { return add("/spec/x/0", "1") })...), many},
		"one of 90,000":                             {podWith(""), append([]review.Op{add("/spec/x", "["+elements("1", 90_000)+"]")}, repeat(9_000, func(int) review.Op { return add("/spec/x/0", "1") })...), moved},
		"inserts before its last element":           {groupsPod(90_000), repeat(9_000, func(int) review.Op { return add(groups+"/-2", "1") }), copied},
		"removals of its last element":              {groupsPod(90_000), repeat(9_000, func(int) review.Op { return review.Op{Op: "remove", Path: groups + "/-1"} }), copied},
		"some inserts at its end, by their indices": {groupsPod(90_000), repeat(200, func(i int) review.Op { return add(fmt.Sprintf("%s/%d", groups, 90_000+i), "1") }), ""},
		"a list is moved there and back": {groupsPod(45_000), append([]review.Op{add(groups+"/-", "1")}, repeat(9_000, func(i int) review.Op {
			if i%2 == 0 {
				return move(groups, "/spec/x")
			}
			return move("/spec/x", groups)
		})...), visited},
		"a Pod with a list of 1,400,000":                   {groupsPod(1_400_000), []review.Op{add(groups+"/-", "1")}, many},
		"it is copied":                                     {groupsPod(1_400_000), []review.Op{{Op: "copy", From: groups, Path: "/spec/x"}}, many},
		"it is moved":                                      {groupsPod(1_400_000), []review.Op{move(groups, "/spec/x")}, many},
		"it is not touched":                                {groupsPod(1_400_000), []review.Op{label}, ""},
		"the unknown fields of that Pod":                   {groupsPod(1_400_000), []review.Op{add("/spec/x", "1")}, ""},
		"many empty containers":                            {podWith(""), []review.Op{add("/spec/containers", "["+elements("{}", 45_000)+"]")}, decoded},
		"many empty containers of the Pod":                 {`{"spec":{"containers":[` + elements(`{"name":"a"}`, 45_000) + `]}}`, []review.Op{add("/spec/containers/0/image", `"i"`)}, ""},
		"many empty volumes":                               {podWith(""), []review.Op{add("/spec/volumes", "["+elements("{}", 45_000)+"]")}, `two volumes named ""`},
		"many fields that no Pod has":                      {podWith(""), []review.Op{add("/spec/containers/-", members(60_000, `"k%d":1`))}, ""},
		"many malformed labels":                            {podWith(""), []review.Op{add("/metadata/labels", members(60_000, `"-%d":"1"`))}, "is malformed"},
		"many malformed labels, one by one":                {podWith(""), repeat(9_900, func(i int) review.Op { return add(fmt.Sprintf("/metadata/labels/-%d", i), `"y"`) }), "is malformed"},
		"a test of many strings":                           {podWith(`,"x":[` + elements(`"abcdefghijk"`, 45_000) + `]`), []review.Op{label, test("/spec/x", "["+elements(`"abcdefghijk"`, 45_000)+"]")}, ""},
		"a long text, 60 levels down":                      {bigText, []review.Op{add("/spec/q", nested), move("/spec/x", "/spec/q"+levels+"/m"), add("/spec/q"+levels+"/n", "1")}, deep},
		"a test that only the library fails, after others": {podWith(""), append(append([]review.Op{add("/spec/y", "[null]"), label}, repeat(9_900, func(int) review.Op { return test("/spec/containers/0/name", `"main"`) })...), test("/spec/y", "[null]")), "op 9903 (test"},
		"a path of a megabyte":                             {podWith(""), []review.Op{{Op: "remove", Path: "/spec/containers/0" + strings.Repeat("/"+strings.Repeat("env[0].x", 2_000), 60)}}, "is missing"},
	} {
		t.Run(sentence, func(t *testing.T) {
			checker := patchtest.NewChecker(t)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := processor(t)
			_, err := checker.Check(t.Context(), "ns", json.RawMessage(c.pod), c.ops)
			took := processor(t) - start
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MB", took.Round(time.Millisecond), allocated)
			if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
				t.Errorf("error = %.300s, want %q", got, c.want)
			}
			if allocated > 300 {
				t.Errorf("it took %d MB", allocated)
			}
			// A check takes up to 0.3 s of a processor. The limit allows for a slow one, and for -race.
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// processor is the time for which this process has had a processor. What else the machine does, does not count.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// repeatText returns n texts of a format with their index.
func repeatText(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+" ", i)
	}
	return b.String()
}

// TestTheCheckEndsWithTheReview is about the deadline of the review, which the check heeds wherever it is.
func TestTheCheckEndsWithTheReview(t *testing.T) {
	checker := patchtest.NewChecker(t)
	light := []review.Op{add("/metadata/labels/x", `"y"`)}
	heavy := append(repeat(9_900, func(int) review.Op {
		return review.Op{Op: "test", Path: "/spec/containers/0/name", Value: json.RawMessage(`"main"`)}
	}), light...)
	late := func(ctx context.Context, ops []review.Op, want string) {
		t.Helper()
		checked, err := checker.Check(ctx, "ns", json.RawMessage(podWith("")), ops)
		failure := (*review.Failure)(nil)
		if !errors.As(err, &failure) || failure.Result != review.ResultLate || failure.Cause != want || len(checked.Ops) > 0 {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
	const over = "the time for the review was over before amp had checked the patch of %d ops: answer sooner, or send a smaller patch"
	ended, end := context.WithCancel(t.Context())
	end()
	late(ended, light, fmt.Sprintf(over, 1))
	late(ended, heavy, fmt.Sprintf(over, 9_901))

	// At any time that ctx ends, the check ends, although it may just be in a library.
	for _, after := range []time.Duration{time.Microsecond, time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := checker.Check(ctx, "ns", json.RawMessage(podWith("")), heavy)
		if failure := (*review.Failure)(nil); err != nil && (!errors.As(err, &failure) || failure.Result != review.ResultLate) {
			t.Errorf("after %v: %v", after, err)
		}
		cancel()
	}
	// None of them keeps a place: more checks than there are places still run.
	for range 5 {
		if _, err := checker.Check(t.Context(), "ns", json.RawMessage(podWith("")), heavy); err != nil {
			t.Error(err)
		}
	}
	steps := []review.Step{{Ops: light, Numbers: []int{1}}, {Ops: heavy}}
	if _, step, err := checker.CheckWhole(ended, "ns", json.RawMessage(podWith("")), steps, nil); err == nil || err.Error() != fmt.Sprintf(over, 9_902) || step != 1 {
		t.Errorf("of a chain: step %d, %v", step, err)
	}
}

// TestLostKeysAreCounted is about a patch of which each op loses a key: amp warns of the first, and counts the others.
func TestLostKeysAreCounted(t *testing.T) {
	var pod strings.Builder
	for i := range 2_000 {
		fmt.Fprintf(&pod, `,"k%d":{"a":1,"b":2}`, i)
	}
	ops := repeat(2_000, func(i int) review.Op { return add(fmt.Sprintf("/spec/k%d", i), `{"a":1}`) })
	checked, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(podWith(pod.String())), ops)
	if err != nil {
		t.Fatal(err)
	}
	if len(checked.Warnings) != 32 || checked.MoreWarnings != 1_968 {
		t.Errorf("%d warnings and %d more", len(checked.Warnings), checked.MoreWarnings)
	}
}
