package jupyterhub

import "testing"

func TestAFileIsOneDocument(t *testing.T) {
	const second = "a second document begins here: put all into one"
	const none = "the file holds no profiles: want at least unknownUsers"
	for name, tc := range map[string]struct{ text, want string }{
		"one":                                     {"unknownUsers: refuse\n", ""},
		"with its beginning":                      {"# of the hub\n---\nunknownUsers: refuse\n", ""},
		"with its end":                            {"unknownUsers: refuse\n...\n# that is all\n", ""},
		"with nothing behind a line of dashes":    {"---\nunknownUsers: refuse\n---\n# that is all\n", ""},
		"with nothing behind several":             {"unknownUsers: refuse\n---\n---\n~\n...\n", ""},
		"an empty map":                            {"{}\n", ""},
		"two":                                     {"users: {}\n---\nunknownUsers: refuse\n", "line 2: " + second},
		"two, after a comment":                    {"users: {}\n\n---\n# of the hub\n\nunknownUsers: refuse\n", "line 3: " + second},
		"two, with an empty one between":          {"users: {}\n---\n---\nunknownUsers: refuse\n", "line 3: " + second},
		"two, the first empty":                    {"---\n---\nunknownUsers: refuse\n", "line 2: " + second},
		"two, the second not YAML":                {"users: {}\n---\nunknownUsers: [\n", "line 3: not YAML: did not find expected node content: check indentation, brackets and quotes"},
		"what is behind the end":                  {"users: {}\n...\nunknownUsers: refuse\n", "line 2: not YAML: did not find expected <document start>: check indentation, brackets and quotes"},
		"a comment only":                          {"# of the hub\n", none},
		"a line of dashes only":                   {"---\n", none},
		"null":                                    {"~\n", none},
		"a mistake in the first before the other": {"userz: {}\n---\nunknownUsers: refuse\n", "line 1: userz: unknown field: allowed are defaults, groups, groupsFrom, slugs, unknownUsers, users (and 1 more mistakes: see endpoints jupyterhub check)"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if _, err := parse([]byte(tc.text)); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
