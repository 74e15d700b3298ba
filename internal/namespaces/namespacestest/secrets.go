// Package namespacestest makes Namespaces for tests. It is not part of amp.
package namespacestest

import (
	"fmt"
	"strings"
)

// Mark stands in userinfo, query or fragment of each URL that Secrets returns. amp shows it nowhere.
const Mark = "s3cretMARK"

var long = strings.Repeat("M", 120)

// urls are URLs, valid or not, with Mark (here M) in userinfo, query or fragment. HOST is an endpoint's host and port, NAME
// its host. Of a text that does not parse as a URL, every part may be a secret.
var urls = []string{
	// Valid ones.
	"http://M@HOST/", "http://u:M@HOST/plain", "http://M:M@HOST/page", "HTTP://u:a,M@HOST/json", "http://u:%4dM%20x@HOST/denied", "http://u:@HOST/warned?M", "http://HOST?M",
	"http://HOST/plain?M", "http://HOST/page?token=M&x", "http://HOST/json?a=1,M;b", "http://HOST/moved?token=M", "http://HOST/denied?token=M", "http://HOST/warned?token=M",
	"http://HOST/quoted?token=M", "http://HOST/ok?M=1", "http://HOST/ok?a/b?M#M", "http://HOST/plain#M", "http://HOST/#a?M@", "http://HOST/moved?a=http:/M", "http://HOST/closed?M", "http://HOST/%2F?M%zz",
	"http://HOST/plain?q=%20M%26", "http://HOST/page?a=b&token=M%3D", "https://u:M@HOST/?M", "http://u:M@169.254.169.254/?M#M", "http://u:M@no-such-host.invalid/?M", "http://u:M@127.0.0.1:1/?M",
	// Longer than what amp shows of an answer.
	"http://HOST/plain?" + long, "http://HOST/page?token=" + long, "http://HOST/json?" + long, "http://HOST/denied?token=" + long, "http://HOST/warned?token=" + long, "http://u:" + long + "@HOST/warned", "http://HOST/quoted?" + long, "https://HOST/?" + long,
	// Those that do not parse, or that amp does not take.
	"http://user:M", "http://user:M/", "http://u:M@HOST:bad", "http://u:p@NAME:bad?M", "http://u:M@HOST0000/", "http://u:p@NAME:0/?M", "http://u:M@:80/", "http:///?M", "http://?M", "http://#M", "http://u:M@",
	"htp://u:M@HOST", "ftp://u:M@HOST/?M", "//u:M@HOST", "u:M@HOST/path", "M@HOST", "HOST/path?M", "HOST/#M", "?M", "#M", "http:M@HOST", "http:u:M@HOST/?M", "http:/u:M@HOST", "http//u:M@HOST", "https:?M", "://M",
	"http://u:%M@HOST/", "http://u:p@HOST/%?M", "http://HOST/%zz?M#M", "http://u:M%@HOST", "http://u:M^M@HOST", "http://u:<M>@HOST/", "http://u:\"M\"@HOST/", "http://[M@HOST", "http://u:M@[::1", "http://u:M@[::1%25eth0]/?M",
	"http://u:M@[fe80::1%25M]/", "http://u:M@::1/", "http://u:M@NAME,other/?M", "http://NAME&token=M/?M", "http://u:M@a\\b/", "http://HOST/\x7f?M", "http://HOST/?\x00M", "http://u:\u0085M@HOST", "http://HOST/?M\u200bM\x1b", "mailto:M@HOST", "javascript:M?M",
	"http://u:1/M@HOST/", "http://u/M@HOST",
	// Lists that a person did not mean as such.
	"http://HOST/ok?a=1,M", "http://hook:first,M@HOST/plain", "http://HOST/ok?a= M@x", "http://u:pass M@HOST/", "http://HOST/ok?x=http://NAME:M", "http://u:a,http://NAME:M@HOST/", "http://HOST/ok?list=a, u:M@b",
}

// Secrets returns values of an annotation that holds URLs, for an endpoint at hostPort: each URL alone, and in lists before
// and behind others.
func Secrets(hostPort string) []string {
	name, _, _ := strings.Cut(hostPort, ":")
	replace := strings.NewReplacer("HOST", hostPort, "NAME", name, "M", Mark)
	var all []string
	for i, u := range urls {
		u = strings.ReplaceAll(replace.Replace(strings.ReplaceAll(u, "HTTP:", "hTTp:")), "hTTp:", "HTTP:")
		all = append(all, u)
		switch other := "http://" + hostPort + "/ok"; i % 4 {
		case 0:
			all = append(all, other+","+u)
		case 1:
			all = append(all, u+", "+other)
		case 2:
			all = append(all, " \n"+u+"\n"+other+"\n")
		default:
			all = append(all, other+" "+u+",,", fmt.Sprintf("%s , %s", u, u))
		}
	}
	return all
}
