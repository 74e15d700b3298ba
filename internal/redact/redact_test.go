package redact

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// TestRedactionGoesByPlaceNotByPath: whether an op adds the whole Pod, any part of it or a single leaf, the
// same is shown of each leaf.
func TestRedactionGoesByPlaceNotByPath(t *testing.T) {
	doc := populated(t)
	whole := gjson.ParseBytes(valueShown("", doc))
	var parts func(v gjson.Result, at, query string)
	n := 0
	parts = func(v gjson.Result, at, query string) {
		n++
		want := whole.Raw
		if query != "" {
			want = whole.Get(query).Raw
		}
		if want == "" { // within what is redacted as a whole
			want = redacted
		}
		got := string(valueShown(at, json.RawMessage(v.Raw)))
		if got != want && !strings.HasPrefix(at, "/status/") && !strings.HasPrefix(at, "/metadata/managedFields/") &&
			!strings.HasPrefix(at, "/spec/volumes/0/ephemeral/volumeClaimTemplate/metadata/managedFields/") {
			t.Errorf("an op on %q shows\n%s\nwithin the Pod it shows\n%s", at, got, want)
		}
		if strings.HasPrefix(at, "/status") && strings.Contains(got, "s3cret") {
			t.Errorf("an op on %q shows %s", at, got)
		}
		if query != "" {
			query += "."
		}
		i := 0
		v.ForEach(func(key, value gjson.Result) bool {
			if v.IsArray() {
				parts(value, at+"/"+strconv.Itoa(i), query+strconv.Itoa(i))
				i++
			} else if v.IsObject() {
				parts(value, at+"/"+key.String(), query+key.String())
			}
			return true
		})
	}
	parts(gjson.ParseBytes(doc), "", "")
	if n < 1000 {
		t.Errorf("only %d parts: the Pod is not full", n)
	}
}

func TestValue(t *testing.T) {
	const r = `"[redacted]"`
	for name, test := range map[string]struct{ path, value, want string }{
		"an environment value":            {"/spec/containers/0/env/3/value", `"s3cret"`, r},
		"a variable at the list's end":    {"/spec/containers/0/env/-", `{"name":"A","value":"s3cret"}`, `{"name":"A","value":` + r + `}`},
		"a variable from a Secret":        {"/spec/initContainers/-1/env/0", `{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k","optional":true}}}`, `{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k","optional":true}}}`},
		"an annotation":                   {"/metadata/annotations/x", `"s3cret"`, r},
		"the stamp, by an endpoint":       {"/metadata/annotations/amp.txn2.com~1event", `"s3cret"`, r},
		"annotations":                     {"/metadata/annotations", `{"a":"s3cret","b":"s3cret"}`, `{"a":` + r + `,"b":` + r + `}`},
		"annotations of a volume's claim": {"/spec/volumes/-", `{"ephemeral":{"volumeClaimTemplate":{"metadata":{"annotations":{"a":"s3cret"},"labels":{"a":"b"}}}}}`, `{"ephemeral":{"volumeClaimTemplate":{"metadata":{"annotations":{"a":` + r + `},"labels":{"a":"b"}}}}}`},
		"a label with a slash":            {"/metadata/labels/a~1b", `"c"`, `"c"`},
		"a label of no name":              {"/metadata/labels/", `"c"`, `"c"`},
		"below a name":                    {"/spec/containers/0/name/", `"s3cret"`, r},
		"arguments":                       {"/spec/containers/0/args", `["--password","s3cret"]`, `[` + r + `,` + r + `]`},
		"an argument":                     {"/spec/containers/0/args/-", `"s3cret"`, r},
		"a number for an argument":        {"/spec/containers/0/args/-", `12345`, r},
		"an image":                        {"/spec/containers/0/image", `"a:1"`, `"a:1"`},
		"a mount":                         {"/spec/containers/0/volumeMounts/-", `{"name":"a","mountPath":"/b","subPath":"c"}`, `{"name":"a","mountPath":"/b","subPath":"c"}`},
		"quantities":                      {"/spec/containers/0/resources/limits", `{"cpu":"1","memory":1e9}`, `{"cpu":"1","memory":1e9}`},
		"ports":                           {"/spec/containers/0/ports/-", `{"name":"http","containerPort":80,"protocol":"TCP","hostIP":"10.0.0.1"}`, `{"name":"http","containerPort":80,"protocol":"TCP","hostIP":` + r + `}`},
		"a probe":                         {"/spec/containers/0/livenessProbe", `{"httpGet":{"path":"/?s3cret","port":"http","httpHeaders":[{"name":"Authorization","value":"s3cret"}]},"exec":{"command":["s3cret"]},"periodSeconds":5}`, `{"httpGet":{"path":` + r + `,"port":"http","httpHeaders":[{"name":"Authorization","value":` + r + `}]},"exec":{"command":[` + r + `]},"periodSeconds":5}`},
		"a driver's attributes":           {"/spec/volumes/-", `{"name":"v","csi":{"driver":"d","volumeAttributes":{"password":"s3cret"},"nodePublishSecretRef":{"name":"s"}}}`, `{"name":"v","csi":{"driver":"d","volumeAttributes":{"password":` + r + `},"nodePublishSecretRef":{"name":"s"}}}`},
		"a driver's options":              {"/spec/volumes/0/flexVolume/options/password", `"s3cret"`, r},
		"a constant":                      {"/spec/restartPolicy", `"Never"`, `"Never"`},
		"no constant":                     {"/spec/restartPolicy", `"s3cret"`, r},
		"a constant in the wrong place":   {"/spec/containers/0/env/0/value", `"Never"`, r},
		"an unknown field":                {"/spec/future", `"s3cret"`, r},
		"a number in an unknown field":    {"/spec/future", `1.50`, `1.50`},
		"a list in an unknown field":      {"/spec/future", `[1,"s3cret",true,null,[1],{"s3cret":1},{}]`, `[1,` + r + `,true,null,` + r + `,` + r + `,{}]`},
		"an object in an unknown field, keys and all": {"/spec/future", `{"s3cret":1}`, r},
		"an unknown field of a known object":          {"/spec/containers/-", `{"name":"a","future":{"s3cret":1},"contianer":"s3cret","n":7}`, `{"name":"a","future":` + r + `,"contianer":` + r + `,"n":7}`},
		"another case is another field":               {"/spec/containers/-", `{"Name":"s3cret","name":"a"}`, `{"Name":` + r + `,"name":"a"}`},
		"a key that is escaped":                       {"/spec/containers/-", `{"\u006eame":"a","\u0076alue":"s3cret"}`, `{"\u006eame":"a","\u0076alue":` + r + `}`},
		"an object for a name":                        {"/spec/containers/0/name", `{"s3cret":"s3cret"}`, r},
		"a list for a name":                           {"/spec/containers/0/name", `["s3cret"]`, `[` + r + `]`},
		"a string for an object":                      {"/spec/securityContext", `"s3cret"`, r},
		"an object for a list":                        {"/spec/containers", `{"s3cret":"s3cret"}`, r},
		"a list for an object":                        {"/spec", `["s3cret"]`, `[` + r + `]`},
		"a word for an index":                         {"/spec/containers/name", `"s3cret"`, r},
		"null":                                        {"/spec/containers/0/args", `null`, `null`},
		"white space":                                 {"/spec/securityContext", " { \"runAsUser\" :\t1 } ", `{"runAsUser":1}`},
		"an empty object anywhere":                    {"/spec/future", "{ \n }", `{}`},
		"no pointer":                                  {"spec/hostname", `"s3cret"`, r},
		"no JSON":                                     {"/spec/hostname", `s3cret`, r},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(valueShown(test.path, json.RawMessage(test.value))); got != test.want {
				t.Errorf("shows %s, want %s", got, test.want)
			}
		})
	}
}

// TestRedactionOfDeepNestingIsQuick: each level is scanned again, so that there must not be many.
func TestRedactionOfDeepNestingIsQuick(t *testing.T) {
	deep := strings.Repeat("[", 9000) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat("]", 9000)
	for _, path := range []string{"/spec/future", "/spec/containers", "/spec/containers/0/args", "/metadata/annotations/x"} {
		if got := string(valueShown(path, json.RawMessage(deep))); len(got) > 100 {
			t.Errorf("%s: %d bytes are left", path, len(got))
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	container := json.RawMessage(`{"name":"proxy","image":"registry/proxy:1","args":["--a","--b"],"env":[{"name":"A","value":"x"},{"name":"B","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}],"ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"1","memory":"1Gi"}},"volumeMounts":[{"name":"a","mountPath":"/a"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		valueShown("/spec/initContainers/-", container)
	}
}

// valueShown is a value as the level Patch shows it at a place where it was written.
func valueShown(path string, value json.RawMessage) json.RawMessage { return valueAt(path, value, nil) }
