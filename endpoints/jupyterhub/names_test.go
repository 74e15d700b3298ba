package jupyterhub

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestNamesAreMadeSafeWhereverTheyStand(t *testing.T) {
	h := New(write(t, `
defaults:
  env: [{name: HOME_OF, value: "/home/{username}/{username}"}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: "claim-{username}"}}]
  volumeMounts: [{name: v, mountPath: /v, subPath: "u/{username}"}]
`))
	for user, safe := range map[string]string{
		"alice":             "alice",
		"../bob":            "-2e-2e-2fbob",
		"Alice@Example.com": "-41lice-40-45xample-2ecom",
		`"},"x`:             "-22-7d-2c-22x",
		"{username}":        "-7busername-7d",
		"$(PATH)":           "-24-28-50-41-54-48-29",
		"a b\n":             "a-20b-0a",
		"münch":             "m-c3-bcnch",
	} {
		t.Run(user, func(t *testing.T) {
			got := send(t, h, podOf(user, `"containers":[{"name":"notebook"}]`))
			want := []string{"HOME_OF=/home/" + safe + "/" + safe, "/v<-v/u/" + safe}
			if d := cmp.Diff(want, summary(got.pod.Spec.Containers[0])); d != "" {
				t.Errorf("container (-want +got):\n%s", d)
			}
			claim := got.pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName
			if e := validation.IsDNS1123Subdomain(claim); claim != "claim-"+safe || len(e) > 0 {
				t.Errorf("claim %q: %q", claim, e)
			}
		})
	}
}

func TestLongNamesAreCutAndStayApart(t *testing.T) {
	a, b := safeName(strings.Repeat("ä", 99)+"a"), safeName(strings.Repeat("ä", 99)+"b")
	for _, s := range []string{a, b} {
		if len(s) != maxSafeName || !safe.MatchString(s) {
			t.Errorf("%d bytes: %s", len(s), s)
		}
	}
	if a == b {
		t.Error("two users share a name")
	}
	if safeName(a) == a {
		t.Error("a user's name can equal what another user's long name becomes")
	}
}

var safe = regexp.MustCompile(`^[a-z0-9-]*$`)

func TestSlugsAreThoseOfKubeSpawner7(t *testing.T) {
	for name, tc := range map[string]struct {
		user, server string
		want         names
	}{
		"a valid name stays":                     {"alice", "", names{"alice", "", "alice"}},
		"a named server, as recorded":            {"alice", "gpu", names{"alice", "gpu", "alice--gpu"}},
		"another name gets a hash, as recorded":  {"josé@uni.example", "", names{"jos-uni-example---1e8e02b9", "", "jos-uni-example---1e8e02b9"}},
		"a user cannot take the slug of another": {"jos-uni-example---1e8e02b9", "", names{"jos-uni-example-1e8e02b9---a80fd293", "", "jos-uni-example-1e8e02b9---a80fd293"}},
		"nor the name of another's named server": {"alice--gpu", "", names{"alice-gpu---c8718bea", "", "alice-gpu---c8718bea"}},
		"a name that begins with a digit":        {"1abc", "2", names{"x-1abc---57cb980e", "x-2---d4735e3a", "x-1abc---57cb980e--x-2---d4735e3a"}},
		"nothing that may stay":                  {"ÄÖ", "", names{"x---de7254df", "", "x---de7254df"}},
		"a long name":                            {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", names{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa---11ee3912", "", "aaaaaaaaaaaaaaaaa--x---dc276c9a"}},
		"names that are long together":           {"alice.wonderland@uni.example", "a very long server name indeed", names{"alice-wonderland-uni-example---1b8caa7f", "a-very-long-server-name-indeed---9ed98b3a", "alice-wonderland--a-very-long-serve---c64ed2dc"}},
		"another alphabet's capital":             {"İstanbul", "", names{"i-stanbul---24ec8f72", "", "i-stanbul---24ec8f72"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := spell(slugs7, tc.user, tc.server)
			if got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestANamedServerCannotTakeTheFormOfALongName(t *testing.T) {
	victim := spell("", strings.Repeat("x", 129), "").userServer
	user, hash, _ := strings.Cut(victim, "--")
	if got := spell("", user, hash).userServer; got == victim {
		t.Errorf("two users share %s", got)
	}
}

func FuzzSafeName(f *testing.F) {
	f.Add("alice", "Alice")
	f.Add("a-2db", "a-b")
	f.Add("..", "")
	f.Add(strings.Repeat("x", 128), strings.Repeat("x", 129))
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := safeName(a), safeName(b)
		if (x == y) != (a == b) {
			t.Errorf("%q is %q and %q is %q", a, x, b, y)
		}
		if !safe.MatchString(x) || len(x) > maxSafeName {
			t.Errorf("%q is %q", a, x)
		}
	})
}
