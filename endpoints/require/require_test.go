package require

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

const sha = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestRepositoryReadsReferencesAsTheRuntimesDo(t *testing.T) {
	for image, want := range map[string]string{
		"busybox":                          "docker.io/library/busybox",
		"busybox:1.37":                     "docker.io/library/busybox",
		"busybox" + sha:                    "docker.io/library/busybox",
		"library/busybox":                  "docker.io/library/busybox",
		"jupyter/base-notebook:latest":     "docker.io/jupyter/base-notebook",
		"docker.io/busybox":                "docker.io/library/busybox",
		"index.docker.io/busybox":          "docker.io/library/busybox",
		"quay.io/jupyter/base-notebook:x":  "quay.io/jupyter/base-notebook",
		"Registry.Example/worker:1" + sha:  "registry.example/worker",
		"registry.example:5000/worker":     "registry.example:5000/worker",
		"registry.example:5000/worker:1":   "registry.example:5000/worker",
		"localhost/worker":                 "localhost/worker",
		"localhost:5000/a/b/c:1":           "localhost:5000/a/b/c",
		"[fd00::1]:5000/worker":            "[fd00::1]:5000/worker",
		"a.b/c__d/e---f/g.h_i":             "a.b/c__d/e---f/g.h_i",
		"quay.io.evil.example/jupyter/x":   "quay.io.evil.example/jupyter/x",
		"evil.example/quay.io/jupyter/x:1": "evil.example/quay.io/jupyter/x",
	} {
		t.Run(image, func(t *testing.T) {
			if got, err := repository(image); got != want || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	for name, image := range map[string]string{
		"nothing":                        "",
		"white space":                    " busybox",
		"upper case in the path":         "quay.io/Jupyter/x",
		"a host by its upper case":       "UPPER/worker",
		"a way up":                       "quay.io/jupyter/../evil/x",
		"an empty part":                  "quay.io//x",
		"an end in a slash":              "quay.io/jupyter/",
		"a scheme":                       "https://quay.io/jupyter/x",
		"a user in front":                "quay.io@evil.example/x",
		"an empty tag":                   "busybox:",
		"a digest of nothing":            "busybox@",
		"a digest too short":             "busybox@sha256:12",
		"two digests":                    "busybox" + sha + sha,
		"an image's ID":                  strings.TrimPrefix(sha, "@"),
		"an image's ID without its kind": strings.TrimPrefix(sha, "@sha256:"),
		"a newline":                      "busybox\nquay.io/jupyter/x",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := repository(image); err == nil {
				t.Errorf("%q is taken for %q", image, got)
			}
		})
	}
}

func FuzzRepository(f *testing.F) {
	for _, s := range []string{"busybox", "quay.io/jupyter/x:1" + sha, "a:1/b:2", "[::1]/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, image string) {
		repo, err := repository(image)
		if err != nil {
			return
		}
		again, err := repository(repo)
		if err != nil || again != repo {
			t.Errorf("%q is %q, which is %q, %v", image, repo, again, err)
		}
	})
}

func post(t *testing.T, h http.HandlerFunc, operation, pod string) (refusal, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pod))
	r.Header.Set("ce-operation", operation)
	w := httptest.NewRecorder()
	h(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var answer struct {
		Status struct{ Message string }
	}
	_ = json.Unmarshal(w.Body.Bytes(), &answer) // a patch is not an object, and so not a refusal
	return answer.Status.Message, w.Body.String()
}

func TestEndpoint(t *testing.T) {
	pod := func(spec string) string { return `{"kind":"Pod","spec":{` + spec + `}}` }
	const remedy = "; images may come from registry.example:5000, quay.io/jupyter only: use one from there, or ask the operator to add the registry to AMP_REQUIRE_REGISTRIES of this check"
	for name, tc := range map[string]struct{ pod, refusal string }{
		"an image from the list":              {pod(`"containers":[{"name":"a","image":"quay.io/jupyter/x:1"}]`), ""},
		"an image from the list, by digest":   {pod(`"containers":[{"name":"a","image":"registry.example:5000/x` + sha + `"}]`), ""},
		"another port":                        {pod(`"containers":[{"name":"a","image":"registry.example/x"}]`), `container "a" uses image "registry.example/x"` + remedy},
		"a path that only begins alike":       {pod(`"containers":[{"name":"a","image":"quay.io/jupyterhub/x"}]`), `container "a" uses image "quay.io/jupyterhub/x"` + remedy},
		"a host that only begins alike":       {pod(`"containers":[{"name":"a","image":"quay.io.evil.example/jupyter/x"}]`), `container "a" uses image "quay.io.evil.example/jupyter/x"` + remedy},
		"Docker Hub, unsaid":                  {pod(`"containers":[{"name":"a","image":"busybox"}]`), `container "a" uses image "busybox"` + remedy},
		"an init container":                   {pod(`"initContainers":[{"name":"i","image":"x/y"}],"containers":[{"name":"a","image":"quay.io/jupyter/x"}]`), `init container "i" uses image "x/y"` + remedy},
		"an ephemeral container":              {pod(`"ephemeralContainers":[{"name":"e","image":"x/y"}]`), `ephemeral container "e" uses image "x/y"` + remedy},
		"an image as a volume":                {pod(`"volumes":[{"name":"v","image":{"reference":"x/y"}}]`), `volume "v" uses image "x/y"` + remedy},
		"a volume whose image is yet to come": {pod(`"volumes":[{"name":"v","image":{}}]`), ""},
		"no image":                            {pod(`"containers":[{"name":"a"}]`), `container "a" has no image` + remedy},
		"no reference":                        {pod(`"containers":[{"name":"a","image":"100%s of\nit"}]`), `container "a" uses image "100%s of\nit", which is not an image reference (its path is malformed)` + remedy},
		"many":                                {pod(`"containers":[{"name":"a","image":"a"},{"name":"b","image":"b"},{"name":"c","image":"c"},{"name":"d","image":"d"},{"name":"e","image":"e"}]`), `container "a" uses image "a", container "b" uses image "b", container "c" uses image "c", and 2 more` + remedy},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := New("Registry.example:5000/", "quay.io/jupyter")
			if err != nil {
				t.Fatal(err)
			}
			got, body := post(t, h, "validate", tc.pod)
			if got != tc.refusal || strings.Contains(got, "\n") {
				t.Errorf("refusal %q, want %q", got, tc.refusal)
			}
			if tc.refusal == "" && body != "{\"allowed\":true}\n" {
				t.Errorf("body %s", body)
			}
			if again, body := post(t, h, "mutate", tc.pod); again != got || again == "" && body != "[]\n" {
				t.Errorf("mutating it says %s", body)
			}
		})
	}
}

func TestNewNamesABadEntry(t *testing.T) {
	for name, tc := range map[string]struct{ entry, want string }{
		"a name without a host": {"jupyter", `entry "jupyter" names no registry`},
		"a scheme":              {"https://quay.io", `entry "https://quay.io": want a host`},
		"a pattern":             {"*.example", `entry "*.example": want a host`},
		"a pattern in the path": {"quay.io/*", `entry "quay.io/*": want a path`},
		"a tag":                 {"quay.io/x:1", `entry "quay.io/x:1": want a path`},
		"nothing":               {"", `entry "" names no registry`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New("quay.io", tc.entry); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s…", err, tc.want)
			}
		})
	}
	if _, err := New(); err == nil {
		t.Error("an empty list is taken")
	}
}

func TestDefaultsLetARecordedNotebookIn(t *testing.T) {
	h, err := New(DefaultRegistries...)
	if err != nil {
		t.Fatal(err)
	}
	for file, refused := range map[string]bool{"jupyterhub-user.pod.json": false, "worker-generate-name.pod.json": true} {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := post(t, h, "validate", string(b)); (got != "") != refused {
			t.Errorf("%s: refusal %q", file, got)
		}
	}
}

func TestTheEnvironmentHoldsTheList(t *testing.T) {
	const pod = `{"spec":{"containers":[{"name":"a","image":"registry.example/x"}]}}`
	for name, tc := range map[string]struct {
		value   string
		refused bool
	}{
		"separated by commas and white space": {"quay.io/jupyter,\tregistry.example\n", false},
		"unset":                               {"", true},
		"nothing but separators":              {" , ", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AMP_REQUIRE_REGISTRIES", tc.value)
			if got, _ := post(t, fromEnvironment(), "validate", pod); (got != "") != tc.refused {
				t.Errorf("refusal %q", got)
			}
		})
	}
	t.Run("bad", func(t *testing.T) {
		t.Setenv("AMP_REQUIRE_REGISTRIES", "quay.io, jupyter")
		w := httptest.NewRecorder()
		fromEnvironment()(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pod)))
		want := `reading AMP_REQUIRE_REGISTRIES: entry "jupyter" names no registry: want a host such as quay.io, or a host and a path such as docker.io/library` + "\n"
		if w.Code != http.StatusInternalServerError || w.Body.String() != want {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
