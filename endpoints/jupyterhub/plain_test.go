package jupyterhub

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"
)

// otherwise are scalars that the decoder does not read as a text if they have no quotes.
var otherwise = []string{
	"0", "0012345", "0089", "89", "-7", "+7", "1_000", "12e3", "1e3", "1.5", "1.", ".5", "0x1f", "0b11", "-0b11", "0o17", "-0o17", "1_0.5",
	"18446744073709551615", "y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON",
	"off", "Off", "OFF", "true", "True", "TRUE", "false", "False", "FALSE", "~", "null", "Null", "NULL", ".inf", "-.Inf", "+.INF", ".nan", ".NaN",
}

// decimals are those of them that stay the same as a key.
var decimals = []string{"0", "89", "-7"}

// texts are scalars that the decoder reads as a text. Other readers of YAML take the last ones for numbers of base 60, or dates.
var texts = []string{
	"alice", "0012345x", "1.2.3", "1_000a", "yEs", "oN", "yess", "nulls", "12:61", ":80", "a:1", "2001-12", "2001-13-14", "0x", "0b2", "--", "+", "_1",
	"1,5", "1Gi", "500m", "-.in", "*@uni.example", "inf", "NaN", "é", "a b", "007@uni.example",
	"12:30", "12:30:45", "190:20:30.15", "2001-12-14", "2001-12-14 21:59:43.10", "2001-12-14T21:59:43Z",
}

func mistakesOf(text string) []Mistake {
	_, err := parse([]byte(text))
	var m Mistakes
	errors.As(err, &m)
	return m
}

func quoted(scalar string) string { return "'" + scalar + "'" }

func TestAKeyThatYAMLReadsAsSomethingElseIsAMistake(t *testing.T) {
	for _, key := range otherwise {
		m := mistakesOf("defaults: {}\nusers:\n  " + key + ": {}\n")
		want := Mistake{3, "users." + key, "YAML reads this key as a number, true, false or null: put the key in quotes"}
		if slices.Contains(decimals, key) {
			if p, err := parse([]byte("users:\n  " + key + ": {}\n")); err != nil || !slices.Equal(sortedKeys(p.Users), []string{key}) {
				t.Errorf("%s: %v", key, err)
			}
		} else if len(m) != 1 || m[0] != want {
			t.Errorf("%s: %v, want %v", key, m, want)
		}
		p, err := parse([]byte("users:\n  " + quoted(key) + ": {}\n"))
		if err != nil {
			t.Errorf("with quotes, %s: %v", key, err)
		} else if _, ok := p.Users[key]; !ok {
			t.Errorf("with quotes, %s becomes %q", key, sortedKeys(p.Users))
		}
	}
	for _, key := range texts {
		if strings.HasPrefix(key, "*") {
			key = quoted(key) // without them, it is an alias
		}
		if m := mistakesOf("users:\n  " + key + ": {}\n"); m != nil {
			t.Errorf("%s: %v", key, m)
		}
	}
}

func TestAPlainValueThatYAMLReadsAsSomethingElseIsAMistake(t *testing.T) {
	for _, value := range otherwise {
		for field, text := range map[string]string{
			"defaults.nodeSelector.gpu": "defaults:\n  nodeSelector:\n    gpu: ",
			"defaults.env[0].value":     "defaults:\n  env:\n  - name: DEBUG\n    value: ",
			"groups.g.members[0]":       "groups:\n  g:\n    members:\n    - ",
			"groups.g.image":            "groups:\n  g:\n    # a comment\n    image: ",
		} {
			m := mistakesOf(text + value + "\n")
			want := Mistake{strings.Count(text, "\n") + 1, field, "want a text: put the value in quotes"}
			if value == "~" || strings.EqualFold(value, "null") {
				want.Text = "is null: leave the key out, or put the word in quotes if it is meant"
			}
			if len(m) != 1 || m[0] != want {
				t.Errorf("%s: %v, want %v", value, m, want)
			}
			if m := mistakesOf(text + quoted(value) + "\n"); m != nil {
				t.Errorf("with quotes, %s: %v", value, m)
			}
		}
	}
}

func TestWhatYAMLHasBesidesPlainTexts(t *testing.T) {
	const port = "defaults: {extraContainers: [{name: a, livenessProbe: {tcpSocket: {port: "
	for name, tc := range map[string]struct {
		text string
		want []string // a part of each mistake
	}{
		"a value that is absent is an empty text":           {"defaults:\n  env:\n  - name: A\n    value:\n  nodeSelector:\n    a:\n", nil},
		"a profile that is absent is empty":                 {"users:\n  alice:\n  bob: ~\n", nil},
		"a text in a block":                                 {"defaults:\n  env:\n  - name: A\n    value: |\n      12\n", nil},
		"a text that the file says is one":                  {"users:\n  !!str 0012: {image: !!str yes}\n", nil},
		"a text of several lines":                           {"defaults:\n  image:\n    a\n\n    b\n", nil},
		"a key of an alias is what the anchor holds":        {"defaults: {image: &a alice}\nusers:\n  *a : {}\n  alice: {}\n", []string{"line 4: users.alice: is there twice, first in line 3"}},
		"and a number as ever":                              {"defaults: {image: &a 0012}\nusers:\n  *a : {}\n", []string{"line 1: defaults.image: want a text", "line 3: users.0012: YAML reads this key"}},
		"two keys that YAML 1.1 reads as one number":        {"users:\n  0089: {}\n  89: {}\n", []string{"line 2: users.0089: YAML reads"}},
		"an empty key":                                      {"users:\n  ?\n  : {}\n", []string{"line 2: users.: YAML reads"}},
		"keys as a key":                                     {"users:\n  ? {a: b}\n  : {}\n", []string{"line 2: users: a key must be a text, not a list and not keys"}},
		"a tag makes another type":                          {"users:\n  !!int \"12\": {}\ndefaults: {image: !!binary YQ==}\n", []string{"line 2: users.12: tags, such as !!int, are not supported: leave it out", "line 3: defaults.image: tags, such as"}},
		"a tag on keys, and on a truth":                     {"users: !!map {}\ndefaults: {volumeMounts: [{name: v, mountPath: /v, readOnly: !!bool yes}]}\n", []string{"line 1: users: tags, such as", "line 2: defaults.volumeMounts[0].readOnly: tags, such as"}},
		"a tag that yaml/v3 leaves out":                     {"defaults: {nodeSelector: !\n}\nusers:\n  alice: !\n  bob: {env: [! ~]}\n", []string{"line 1: defaults.nodeSelector: tags, such as", "line 4: users.alice: tags, such as", "line 5: users.bob.env[0]: tags, such as"}},
		"and makes a text of a number and of a truth":       {"defaults: {tolerations: [{tolerationSeconds: ! 12}], volumeMounts: [{name: v, mountPath: /v, readOnly: &a ! true}]}\n", []string{"line 1: defaults.tolerations[0].tolerationSeconds: tags, such as", "line 1: defaults.volumeMounts[0].readOnly: tags, such as"}},
		"a port's name that YAML 1.1 reads as a truth":      {port + "on}}}]}\n", []string{"line 1: defaults.extraContainers[0].livenessProbe.tcpSocket.port: want a text: put the value in quotes"}},
		"a port's name, and its number":                     {port + "http}}}, {name: b, livenessProbe: {tcpSocket: {port: 0x50}}}]}\n", nil},
		"a time that is a date":                             {"defaults: {volumes: [{name: v, ephemeral: {volumeClaimTemplate: {metadata: {creationTimestamp: 2001-12-14}}}}]}\n", []string{"creationTimestamp: not a value that Kubernetes reads as Time"}},
		"a time":                                            {"defaults: {volumes: [{name: v, ephemeral: {volumeClaimTemplate: {metadata: {creationTimestamp: 2001-12-14T21:59:43Z}}}}]}\n", nil},
		"an amount that is null":                            {"defaults: {resources: {limits: {memory: }, requests: {cpu: null}}}\n", []string{"limits.memory: is null: write a quantity", "requests.cpu: is null: write a quantity"}},
		"an amount that may be absent":                      {"defaults: {volumes: [{name: v, emptyDir: {sizeLimit: null}}]}\n", nil},
		"numbers where numbers are wanted":                  {"defaults: {resources: {limits: {cpu: 2, memory: 1e9, a/b: 0x2}}, tolerations: [{tolerationSeconds: 1_000}]}\n", nil},
		"a truth as YAML 1.1 has it, where it is wanted so": {"defaults: {volumeMounts: [{name: v, mountPath: /v, readOnly: yes}]}\n", []string{"readOnly: want true or false, without quotes"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := mistakesOf(tc.text)
			if len(got) != len(tc.want) {
				t.Fatalf("mistakes %v, want %q", got, tc.want)
			}
			for i, m := range got {
				if !strings.Contains(m.String(), tc.want[i]) {
					t.Errorf("mistake %q, want %q", m, tc.want[i])
				}
			}
		})
	}
}

// FuzzPlain: each key and each value of a file without a mistake is for the decoder, which reads YAML 1.1, what it is
// for the check, which reads YAML 1.2. And a mistake has its field.
func FuzzPlain(f *testing.F) {
	for _, s := range slices.Concat(otherwise, texts, []string{"<<", "!!str 12", "! 12", "! #", "!", "!a b", "&a b", "\"12\"", "a\n\n   b", "-", "?", "|", "a\u2028b", "\ta", "12 # a"}) {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		text := []byte("defaults:\n  nodeSelector:\n    " + key + ": " + value + "\n")
		p, err := parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "does not decode") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		var byCheck struct {
			Defaults struct {
				NodeSelector map[string]string `yaml:"nodeSelector"`
			}
		}
		if err := yaml.Unmarshal(text, &byCheck); err != nil {
			t.Skip(err)
		}
		if !maps.Equal(p.Defaults.NodeSelector, byCheck.Defaults.NodeSelector) {
			t.Errorf("%q: the decoder reads %q, the check %q", text, p.Defaults.NodeSelector, byCheck.Defaults.NodeSelector)
		}
	})
}

// TestTheDecoderReadsOtherwise: the lists above are right.
func TestTheDecoderReadsOtherwise(t *testing.T) {
	for _, s := range slices.Concat(otherwise, texts) {
		var v any
		err := kyaml.Unmarshal([]byte("- "+s), &v)
		list, _ := v.([]any)
		same := err == nil && len(list) == 1 && list[0] == any(s)
		if !strings.HasPrefix(s, "*") && same != slices.Contains(texts, s) {
			t.Errorf("%s: %v, %v", s, v, err)
		}
	}
}
