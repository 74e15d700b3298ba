package compare_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/compare"
)

// pod is a Pod whose spec holds text.
func pod(spec string) string { return `{"metadata":{"name":"web"},"spec":{` + spec + `}}` }

// made is the outcome of a version that makes a Pod.
func made(pod string) compare.Outcome { return compare.Outcome{Pod: json.RawMessage(pod)} }

// shown writes the differences as "group | first's pointer value | second's pointer value".
func shown(c compare.Comparison) []string {
	var all []string
	for _, d := range c.Differences {
		all = append(all, fmt.Sprintf("%s | %s %s | %s %s", d.Group(), d.First.Place.Pointer(), d.First.JSON, d.Second.Place.Pointer(), d.Second.JSON))
	}
	return all
}

func TestTwoPods(t *testing.T) {
	for sentence, c := range map[string]struct {
		first, second string
		want          []string
	}{
		"the same text is the same Pod":                      {pod(`"a":1`), pod(`"a":1`), nil},
		"the order of fields makes no difference":            {pod(`"a":1,"b":2`), pod(`"b":2,"a":1`), nil},
		"white space makes no difference":                    {pod(`"a":[1,2]`), pod(` "a" : [ 1 , 2 ] `), nil},
		"the spelling of numbers and texts makes none":       {pod(`"a":1,"b":"x"`), pod(`"a":1.0,"b":"\u0078"`), nil},
		"null is as if it were absent":                       {pod(`"a":null`), pod(``), nil},
		"an empty list is not absent":                        {pod(`"a":[]`), pod(``), []string{"/spec/a: only first | /spec/a [] |  "}},
		"a field that the first one has":                     {pod(`"a":{"b":"x"}`), pod(`"a":{}`), []string{`/spec/a/b: only first | /spec/a/b "x" |  `}},
		"a field that the second one has":                    {pod(`"a":{}`), pod(`"a":{"b":"x"}`), []string{`/spec/a/b: only second |   | /spec/a/b "x"`}},
		"another value":                                      {pod(`"a":1`), pod(`"a":2`), []string{"/spec/a: other value | /spec/a 1 | /spec/a 2"}},
		"a value of another type":                            {pod(`"a":{"b":1}`), pod(`"a":[1]`), []string{`/spec/a: other value | /spec/a {"b":1} | /spec/a [1]`}},
		"a list of plain values is compared as a whole":      {pod(`"args":["a","b"]`), pod(`"args":["b","a"]`), []string{`/spec/args: other value | /spec/args ["a","b"] | /spec/args ["b","a"]`}},
		"a key with a slash is escaped":                      {pod(`"a":{"x/y~z":1}`), pod(`"a":{"x/y~z":2}`), []string{"/spec/a/x~1y~0z: other value | /spec/a/x~1y~0z 1 | /spec/a/x~1y~0z 2"}},
		"differences come in the order of their keys":        {pod(`"b":1,"a":1`), pod(`"b":2,"a":2`), []string{"/spec/a: other value | /spec/a 1 | /spec/a 2", "/spec/b: other value | /spec/b 1 | /spec/b 2"}},
		"a container is found by its name, wherever it is":   {pod(`"containers":[{"name":"a","image":"x"}]`), pod(`"containers":[{"name":"b"},{"name":"a","image":"y"}]`), []string{`/spec/containers/a/image: other value | /spec/containers/0/image "x" | /spec/containers/1/image "y"`, `/spec/containers/b: only second |   | /spec/containers/0 {"name":"b"}`}},
		"a variable is found by its name, in a container":    {pod(`"containers":[{"name":"a","env":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}]`), pod(`"containers":[{"name":"a","env":[{"name":"B","value":"3"}]}]`), []string{`/spec/containers/a/env/A: only first | /spec/containers/0/env/0 {"name":"A","value":"1"} |  `, `/spec/containers/a/env/B/value: other value | /spec/containers/0/env/1/value "2" | /spec/containers/0/env/0/value "3"`}},
		"the same elements in another order":                 {pod(`"volumes":[{"name":"a"},{"name":"b"}]`), pod(`"volumes":[{"name":"b"},{"name":"a"}]`), []string{"/spec/volumes: other order | /spec/volumes  | /spec/volumes "}},
		"an element before the others is not another order":  {pod(`"volumes":[{"name":"a"},{"name":"b"}]`), pod(`"volumes":[{"name":"c"},{"name":"a"},{"name":"b"}]`), []string{`/spec/volumes/c: only second |   | /spec/volumes/0 {"name":"c"}`}},
		"a port is called by its number":                     {pod(`"ports":[{"containerPort":80}]`), pod(`"ports":[{"containerPort":80,"name":"web"}]`), []string{`/spec/ports/80/name: only second |   | /spec/ports/0/name "web"`}},
		"a source of variables is called by what it is":      {pod(`"envFrom":[{"secretRef":{"name":"s"}}]`), pod(`"envFrom":[{"secretRef":{"name":"s"},"prefix":"X"}]`), []string{`/spec/envFrom/s/prefix: only second |   | /spec/envFrom/0/prefix "X"`}},
		"of elements of one name, the same are one":          {pod(`"tolerations":[{"key":"k","effect":"A"},{"key":"k","effect":"B"}]`), pod(`"tolerations":[{"key":"k","effect":"B"}]`), []string{`/spec/tolerations/k: only first | /spec/tolerations/0 {"key":"k","effect":"A"} |  `}},
		"elements without a name are a star":                 {pod(`"x":[{"a":1},{"a":2}]`), pod(`"x":[{"a":1},{"a":3}]`), []string{"/spec/x/*/a: other value | /spec/x/1/a 2 | /spec/x/1/a 3"}},
		"of elements without a name, the same are one":       {pod(`"x":[{"a":1},{"a":2},{"a":3}]`), pod(`"x":[{"a":1},{"a":3}]`), []string{`/spec/x/*: only first | /spec/x/1 {"a":2} |  `}},
		"what is far down is compared as a whole":            {strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200), strings.Repeat(`{"a":`, 200) + `2` + strings.Repeat(`}`, 200), []string{strings.Repeat("/a", 64) + ": other value | " + strings.Repeat("/a", 64) + " " + strings.Repeat(`{"a":`, 136) + `1` + strings.Repeat(`}`, 136) + " | " + strings.Repeat("/a", 64) + " " + strings.Repeat(`{"a":`, 136) + `2` + strings.Repeat(`}`, 136)}},
		"far down, too, the same is the same":                {strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200), strings.Repeat(`{"a": `, 200) + `1` + strings.Repeat(`}`, 200), nil},
		"amp's stamp makes no difference":                    {`{"metadata":{"annotations":{"a":"b","amp.txn2.com/event":"1"}}}`, `{"metadata":{"annotations":{"a":"b"}}}`, nil},
		"nor does an object that is there for the stamp":     {`{"metadata":{"annotations":{"amp.txn2.com/event":"1"}}}`, `{"metadata":{}}`, nil},
		"two stamps make none":                               {`{"metadata":{"annotations":{"amp.txn2.com/event":"1"}}}`, `{"metadata":{"annotations":{"amp.txn2.com/event":"2"}}}`, nil},
		"an annotation beside the stamp makes one":           {`{"metadata":{"annotations":{"amp.txn2.com/event":"1"}}}`, `{"metadata":{"annotations":{"a":"b"}}}`, []string{`/metadata/annotations: only second |   | /metadata/annotations {"a":"b"}`}},
		"a label of the stamp's name makes one":              {`{"metadata":{"labels":{"amp.txn2.com/event":"1"}}}`, `{"metadata":{"labels":{}}}`, []string{`/metadata/labels/amp.txn2.com~1event: only first | /metadata/labels/amp.txn2.com~1event "1" |  `}},
		"annotations of a template in the Pod are not amp's": {pod(`"metadata":{"annotations":{"amp.txn2.com/event":"1"}}`), pod(`"metadata":{"annotations":{}}`), []string{`/spec/metadata/annotations/amp.txn2.com~1event: only first | /spec/metadata/annotations/amp.txn2.com~1event "1" |  `}},
	} {
		t.Run(sentence, func(t *testing.T) {
			found := compare.Outcomes(made(c.first), made(c.second))
			if got := shown(found); !slices.Equal(got, c.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
			}
			want := compare.Same
			if len(c.want) > 0 {
				want = compare.Different
			}
			if found.Verdict != want {
				t.Errorf("the verdict is %q, not %q", found.Verdict, want)
			}
			if back := compare.Outcomes(made(c.second), made(c.first)); back.Verdict != want || len(back.Differences) != len(c.want) {
				t.Errorf("the other way round there are other differences: %q", shown(back))
			}
		})
	}
}

func TestTwoOutcomes(t *testing.T) {
	denied, failed := compare.Outcome{Denied: true}, compare.Outcome{}
	one, other := made(pod(`"a":1`)), made(pod(`"a":2`))
	for sentence, c := range map[string]struct {
		first, second compare.Outcome
		want          compare.Verdict
		groups        string
	}{
		"both make the same Pod":                        {one, one, compare.Same, "same"},
		"each makes another Pod":                        {one, other, compare.Different, "/spec/a: other value"},
		"both deny":                                     {denied, denied, compare.Same, "same"},
		"the first denies":                              {denied, one, compare.FirstDenies, "first denies"},
		"the second denies":                             {one, denied, compare.SecondDenies, "second denies"},
		"the first failed":                              {failed, one, compare.FirstFailed, "first failed"},
		"the first failed, and the second denies":       {failed, denied, compare.FirstFailed, "first failed"},
		"the second failed":                             {one, failed, compare.SecondFailed, "second failed"},
		"the first denies, and the second failed":       {denied, failed, compare.SecondFailed, "second failed"},
		"both failed":                                   {failed, failed, compare.BothFailed, "both failed"},
		"an outcome that denies needs no Pod beside it": {compare.Outcome{Denied: true, Pod: one.Pod}, one, compare.FirstDenies, "first denies"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := compare.Outcomes(c.first, c.second)
			if got.Verdict != c.want || strings.Join(got.Groups(), ",") != c.groups {
				t.Errorf("got %q in the groups %q, want %q in %q", got.Verdict, got.Groups(), c.want, c.groups)
			}
		})
	}
}

// TestGroupsOfManyPods: Pods with other indexes and values are of the same groups, each of which counts once for a Pod.
func TestGroupsOfManyPods(t *testing.T) {
	change := func(spec, other string) []string {
		c := compare.Outcomes(made(pod(spec)), made(pod(other)))
		return c.Groups()
	}
	one := change(`"containers":[{"name":"a","image":"x"}],"x":[{"a":1},{"a":2}]`, `"containers":[{"name":"a","image":"y"}],"x":[{"a":3},{"a":4}]`)
	two := change(`"containers":[{"name":"b"},{"name":"a","image":"v"}],"x":[{"a":5}]`, `"containers":[{"name":"b"},{"name":"a","image":"w"}],"x":[{"a":6}]`)
	want := []string{"/spec/containers/a/image: other value", "/spec/x/*/a: other value"}
	if !slices.Equal(one, want) || !slices.Equal(two, want) {
		t.Errorf("got %q and %q, want %q", one, two, want)
	}
}

// TestNamesThatMayNotBeShown: a caller decides about each name by the place where it stands.
func TestNamesThatMayNotBeShown(t *testing.T) {
	c := compare.Outcomes(made(pod(`"containers":[{"name":"a","env":[{"name":"X","value":"1"}]}]`)), made(pod(`"containers":[{"name":"a","env":[{"name":"X","value":"2"}]}]`)))
	var asked []string
	got := c.Differences[0].Place().NamesShown(func(at compare.Place, name json.RawMessage) bool {
		asked = append(asked, at.Pointer()+"="+string(name))
		return string(name) != `"X"`
	})
	if want := "/spec/containers/a/env/*/value"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if want := []string{`/spec/containers/0/name="a"`, `/spec/containers/0/env/0/name="X"`}; !slices.Equal(asked, want) {
		t.Errorf("asked about %q, not %q", asked, want)
	}
}

// TestManyDifferences: a comparison holds so many, and counts the others.
func TestManyDifferences(t *testing.T) {
	var first, second []string
	for i := range compare.MaxDifferences + 7 {
		first = append(first, fmt.Sprintf(`"k%d":1`, i))
		second = append(second, fmt.Sprintf(`"k%d":2`, i))
	}
	c := compare.Outcomes(made(pod(strings.Join(first, ","))), made(pod(strings.Join(second, ","))))
	if len(c.Differences) != compare.MaxDifferences || c.More != 7 {
		t.Errorf("got %d and %d more", len(c.Differences), c.More)
	}
}
