package main

import (
	"fmt"
	"net/http"
	"strings"
)

// input is one thing that a tenant can do: what its endpoints answer, in their order, and which Pod it creates.
type input struct {
	name      string // also of its namespace
	endpoints []http.HandlerFunc
	pod       string
	keys      map[string]string // of its namespace, besides the endpoints
}

// with serves the endpoints of an input and adds its namespace. It returns the endpoints.
func (r *run) with(t tenants, in input) []*endpoint {
	keys := map[string]string{}
	for key, value := range in.keys {
		keys[key] = value
	}
	var all []*endpoint
	var urls []string
	for _, answer := range in.endpoints {
		e := r.serve(answer)
		all, urls = append(all, e), append(urls, e.url)
	}
	if len(urls) > 0 {
		keys["amp.txn2.com/ep"] = strings.Join(urls, " ")
	}
	t[in.name] = keys
	return all
}

func answersAll(bodies ...string) (all []http.HandlerFunc) {
	for _, body := range bodies {
		all = append(all, answers(body))
	}
	return all
}

// list is a JSON list of n texts that format makes of their index.
func list(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(format, "%d", fmt.Sprint(i))
	}
	return strings.Join(all, ",")
}

const label = `[{"op":"add","path":"/metadata/labels/x","value":"y"}]`

// good is the tenant that does nothing wrong.
func good() input {
	return input{name: "good", endpoints: answersAll(`[{"op":"add","path":"/metadata/labels/team","value":"good"},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"TEAM","value":"good"}}]`), pod: smallPod}
}

func quantity(value string) input {
	return input{name: "quantity", endpoints: answersAll(`[{"op":"add","path":"/spec/containers/0/resources/limits/cpu","value":"` + value + `"}]`), pod: smallPod}
}

// inserts makes a list of 150,000 elements and inserts 9,000 at its front.
func inserts(last string) input {
	return input{name: "inserts", pod: smallPod, endpoints: answersAll(
		`[{"op":"add","path":"/spec/x","value":[` + list(150_000, "1") + `]},` + list(9_000, `{"op":"add","path":"/spec/x/0","value":1}`) + last + `]`)}
}

// onlyTheLibraryFails is a test of a value that is equal, but that the API server's library cannot compare.
const onlyTheLibraryFails = `,{"op":"add","path":"/spec/y","value":[null]},{"op":"test","path":"/spec/y","value":[null]}`

// shortInserts is inserts with a list that amp would take, so that the check comes to its last op.
func shortInserts() input {
	return input{name: "short-inserts", pod: smallPod, endpoints: answersAll(
		`[{"op":"add","path":"/spec/x","value":[1]},` + list(1_300, `{"op":"add","path":"/spec/x/0","value":1}`) + onlyTheLibraryFails + `]`)}
}

// lostKeys is a patch of which each op loses a key.
func lostKeys() input {
	return input{name: "lost-keys", pod: smallPod, endpoints: answersAll(
		`[` + list(9_989, `{"op":"add","path":"/metadata/labels","value":{"k%d":""}}`) + `]`)}
}

// manyURLs is an annotation with 9,039 URLs of one endpoint.
func manyURLs(url string) input {
	return input{name: "many-urls", pod: smallPod, keys: map[string]string{"amp.txn2.com/ep": strings.TrimSpace(strings.Repeat(url+" ", 9_039))}}
}

func largePod() input {
	return input{name: "large-pod", endpoints: answersAll(label), pod: podOf(2_900_000)}
}

func hanging(size int) input {
	return input{name: "hanging", endpoints: []http.HandlerFunc{hangs}, pod: podOf(size)}
}

// copies is a chain that copies 3.5 MB in all, which is more than the API server allows in one patch.
func copies() input {
	step := func(keys ...string) string {
		var ops []string
		for _, key := range keys {
			ops = append(ops, `{"op":"copy","from":"/metadata/annotations/a","path":"/metadata/annotations/`+key+`"}`)
		}
		return `[` + strings.Join(ops, ",") + `]`
	}
	return input{name: "copies", endpoints: answersAll(step("b", "c"), step("d", "e", "f")), pod: podOf(700_000)}
}

// nulls is a chain whose second step tests nulls that the first one made.
func nulls() input {
	return input{name: "nulls", pod: smallPod, endpoints: answersAll(
		`[{"op":"add","path":"/spec/x","value":{}},{"op":"add","path":"/spec/x/a","value":null}]`,
		`[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"test","path":"/spec/x","value":{"a":null}}]`)}
}

// optsOut adds the label by which a Pod does not reach amp.
func optsOut() input {
	return input{name: "opts-out", pod: smallPod, endpoints: answersAll(
		`[{"op":"add","path":"/metadata/labels/amp.txn2.com~1enabled","value":"false"}]`)}
}

const secret = "hunter2-8f1c"

// hidesSecret puts a secret at a place that events show, and then moves it to where it belongs.
func hidesSecret() input {
	return input{name: "hides-secret", pod: smallPod, endpoints: answersAll(
		`[{"op":"add","path":"/spec/hostname","value":"` + secret + `"},{"op":"move","from":"/spec/hostname","path":"/spec/containers/0/env/0/value"}]`)}
}
