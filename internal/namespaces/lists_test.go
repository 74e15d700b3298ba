package namespaces_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/namespaces"
)

func TestSplitURLs(t *testing.T) {
	for sentence, test := range map[string]struct {
		list string
		want []string
	}{
		"one":                                       {"http://a", []string{"http://a"}},
		"white space of any kind":                   {" http://a\t\r\nhttps://b\u00a0http://c\u2028", []string{"http://a", "https://b", "http://c"}},
		"a comma before a URL":                      {"http://a/m,https://b", []string{"http://a/m", "https://b"}},
		"a comma and white space before a URL":      {"http://a/m, \n http://b", []string{"http://a/m", "http://b"}},
		"white space, a comma and a URL":            {"http://a/m ,http://b", []string{"http://a/m", "http://b"}},
		"a comma alone between two":                 {"http://a/m , http://b", []string{"http://a/m", "http://b"}},
		"in any case":                               {"HTTP://a,hTtPs://b", []string{"HTTP://a", "hTtPs://b"}},
		"a comma in a query":                        {"http://a/m?tenant=a&token=first,second http://b", []string{"http://a/m?tenant=a&token=first,second", "http://b"}},
		"a comma in a password":                     {"http://hook:first,second@a/m,http://b", []string{"http://hook:first,second@a/m", "http://b"}},
		"a comma in a path":                         {"http://a/x,y,http://b", []string{"http://a/x,y", "http://b"}},
		"a comma before what only looks like a URL": {"http://a/x,http:/b,https:c,ftp://d", []string{"http://a/x,http:/b,https:c,ftp://d"}},
		"a comma at the end belongs to the URL":     {"http://a/x,", []string{"http://a/x,"}},
		"a comma at the end, alone":                 {"http://a/x ,", []string{"http://a/x", ","}},
		"a comma at the beginning":                  {",http://a , http://b", []string{"http://a", "http://b"}},
		"two commas, of which the first is a part":  {"http://a/x,,http://b", []string{"http://a/x,", "http://b"}},
		"nothing": {" \n", nil},
		"a comma": {",", []string{","}},
		"no URL":  {"a,b c", []string{"a,b", "c"}},
	} {
		if diff := cmp.Diff(test.want, namespaces.SplitURLs(test.list)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
}

func TestCreators(t *testing.T) {
	for sentence, test := range map[string]struct {
		list     string
		are, not []string // usernames
		bad      string   // a part of the message
	}{
		"by white space and commas":      {"a, b\nc,d", []string{"a", "b", "c", "d"}, []string{"a,", "a, b"}, ""},
		"a distinguished name":           {`"CN=hub,OU=services,DC=example"`, []string{"CN=hub,OU=services,DC=example"}, []string{"CN=hub", "OU=services", `"CN=hub,OU=services,DC=example"`}, ""},
		"with spaces, beside others":     {`system:serviceaccount:jhub:hub,"CN=Jane Doe, OU=a" bob`, []string{"CN=Jane Doe, OU=a", "bob", "system:serviceaccount:jhub:hub"}, []string{"CN=Jane", "Doe"}, ""},
		"a glob in quotes":               {`"CN=*,OU=services, DC=example"`, []string{"CN=hub,OU=services, DC=example"}, []string{"CN=hub,OU=other, DC=example"}, ""},
		"a quote in quotes":              {`"CN=""the hub"", OU=a"`, []string{`CN="the hub", OU=a`}, nil, ""},
		"a backslash is one":             {`"CN=Doe\, John"`, []string{`CN=Doe\, John`}, []string{"CN=Doe, John"}, ""},
		"white space in quotes counts":   {`" a "`, []string{" a "}, []string{"a"}, ""},
		"a line end in quotes":           {"\"a\nb\"", []string{"a\nb"}, nil, ""},
		"no closing quote":               {`a,"CN=hub, OU=a`, nil, nil, "entry 2 has no closing quote"},
		"no closing quote after a quote": {`"a""`, nil, nil, "entry 1 has no closing quote"},
		"only a quote":                   {`"`, nil, nil, "entry 1 has no closing quote"},
		"an empty entry":                 {`a ""`, nil, nil, "entry 2 is empty"},
		"an entry of white space":        {`"  "`, nil, nil, "entry 1 is empty"},
		"more after the quote":           {`"a"b`, nil, nil, "entry 1 goes on after its closing quote"},
		"a quote in the middle":          {`CN="a b"`, nil, nil, "entry 1 has a quote in its middle"},
		"no entry":                       {" , ,", nil, nil, "it names no user"},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := namespaces.Parse("x", optedIn(nil), keys{"amp.txn2.com/creators": test.list})
			if test.bad != "" {
				if p.Err == nil || !strings.Contains(p.Err.Error(), "amp.txn2.com/creators ") || !strings.Contains(p.Err.Error(), test.bad) {
					t.Errorf("error %v, want %s", p.Err, test.bad)
				}
				return
			}
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			for _, user := range test.are {
				if !p.Creators.Match(user) {
					t.Errorf("%q is no creator", user)
				}
			}
			for _, user := range test.not {
				if p.Creators.Match(user) {
					t.Errorf("%q is a creator", user)
				}
			}
		})
	}
}
