package apply_test

import (
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/patchtest"
)

// TestPathsThatAreMeantOtherwise is about paths that lead to nothing a Pod can have: the message names the right one.
func TestPathsThatAreMeantOtherwise(t *testing.T) {
	slash := func(op, path, meant string) patchtest.Refusal {
		return patchtest.Refusal{patchtest.Rich, `[{"op":"` + op + `","path":"` + path + `","value":"x"}]`,
			`op 1 (` + op + ` "` + path + `"): a / in a key is written ~1: "` + meant + `"`}
	}
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a slash in the key of an annotation":  slash("add", "/metadata/annotations/example.com/x", "/metadata/annotations/example.com~1x"),
		"of a label":                           slash("add", "/metadata/labels/app.kubernetes.io/name", "/metadata/labels/app.kubernetes.io~1name"),
		"of a nodeSelector, which is missing":  slash("add", "/spec/nodeSelector/kubernetes.io/os", "/spec/nodeSelector/kubernetes.io~1os"),
		"of a limit, all parents missing":      slash("add", "/spec/containers/0/resources/limits/nvidia.com/gpu", "/spec/containers/0/resources/limits/nvidia.com~1gpu"),
		"of a selector within a list":          slash("add", "/spec/topologySpreadConstraints/0/labelSelector/matchLabels/a/b", "/spec/topologySpreadConstraints/0/labelSelector/matchLabels/a~1b"),
		"two slashes":                          slash("add", "/metadata/annotations/a/b/c", "/metadata/annotations/a~1b~1c"),
		"a slash and an escaped tilde":         slash("add", "/metadata/annotations/a~0b/c", "/metadata/annotations/a~0b~1c"),
		"a slash in what is replaced":          slash("replace", "/metadata/annotations/a/b", "/metadata/annotations/a~1b"),
		"in what is replaced, all missing":     slash("replace", "/spec/nodeSelector/kubernetes.io/os", "/spec/nodeSelector/kubernetes.io~1os"),
		"in what is removed":                   slash("remove", "/metadata/annotations/a/b", "/metadata/annotations/a~1b"),
		"in what is tested":                    slash("test", "/metadata/annotations/a/b", "/metadata/annotations/a~1b"),
		"below a key that the Pod has":         slash("add", "/metadata/labels/app/name", "/metadata/labels/app~1name"),
		"in what is copied":                    {patchtest.Rich, `[{"op":"copy","from":"/metadata/annotations/a/b","path":"/metadata/labels/x"}]`, `op 1 (copy "/metadata/labels/x" from "/metadata/annotations/a/b"): a / in a key is written ~1: "/metadata/annotations/a~1b"`},
		"in what is moved":                     {patchtest.Rich, `[{"op":"move","from":"/metadata/annotations/a/b","path":"/metadata/labels/x"}]`, `op 1 (move "/metadata/labels/x" from "/metadata/annotations/a/b"): a / in a key is written ~1: "/metadata/annotations/a~1b"`},
		"in where it is moved":                 {patchtest.Rich, `[{"op":"move","from":"/metadata/annotations/a~1b","path":"/metadata/annotations/x/y"}]`, `op 1 (move "/metadata/annotations/x/y" from "/metadata/annotations/a~1b"): a / in a key is written ~1: "/metadata/annotations/x~1y"`},
		"a slash and a tilde, neither escaped": {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/a/b~c","value":"x"}]`, `op 1 (add "/metadata/annotations/a/b~c"): its path is not a pointer to a field: ~ must be written ~0, and / within a key ~1: did you mean "/metadata/annotations/a~1b~0c"?`},
		"a tilde":                              {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/a~b","value":"x"}]`, `op 1 (add "/metadata/annotations/a~b"): its path is not a pointer to a field: ~ must be written ~0, and / within a key ~1: did you mean "/metadata/annotations/a~0b"?`},
		"an escape that is none":               {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/a~1b~2","value":"x"}]`, `op 1 (add "/metadata/annotations/a~1b~2"): its path is not a pointer to a field: ~ must be written ~0, and / within a key ~1: did you mean "/metadata/annotations/a~1b~02"?`},
	})
}

func TestNearMissesInPaths(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"the singular":                         {patchtest.Rich, `[{"op":"add","path":"/spec/container/0/image","value":"x"}]`, `op 1 (add "/spec/container/0/image"): the Pod has no container: did you mean "/spec/containers/0/image"?`},
		"the singular, of what is replaced":    {patchtest.Rich, `[{"op":"replace","path":"/spec/container/0/image","value":"x"}]`, `op 1 (replace "/spec/container/0/image"): "/spec/container" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"of what is removed":                   {patchtest.Rich, `[{"op":"remove","path":"/spec/initContainer/0"}]`, `op 1 (remove "/spec/initContainer/0"): "/spec/initContainer" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/initContainers/0"?`},
		"of what is tested":                    {patchtest.Rich, `[{"op":"test","path":"/spec/volume/0/name","value":"x"}]`, `op 1 (test "/spec/volume/0/name"): the test failed: "/spec/volume" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/volumes/0/name"?`},
		"of what is copied":                    {patchtest.Rich, `[{"op":"copy","from":"/metadata/label/app","path":"/metadata/labels/x"}]`, `op 1 (copy "/metadata/labels/x" from "/metadata/label/app"): "/metadata/label" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/labels/app"?`},
		"of where it is copied":                {patchtest.Rich, `[{"op":"copy","from":"/metadata/labels/app","path":"/metadata/label/x"}]`, `op 1 (copy "/metadata/label/x" from "/metadata/labels/app"): "/metadata/label" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/labels/x"?`},
		"two mistakes":                         {patchtest.Rich, `[{"op":"replace","path":"/spec/container/0/evn/0/value","value":"x"}]`, `op 1 (replace "/spec/container/0/evn/0/value"): "/spec/container" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/env/0/value"?`},
		"a mistake and a slash":                {patchtest.Rich, `[{"op":"replace","path":"/metadata/annotation/example.com/x","value":"x"}]`, `op 1 (replace "/metadata/annotation/example.com/x"): "/metadata/annotation" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/annotations/example.com~1x"?`},
		"upper case":                           {patchtest.Rich, `[{"op":"replace","path":"/Spec/Containers/0/Image","value":"x"}]`, `op 1 (replace "/Spec/Containers/0/Image"): "/Spec" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"a long form":                          {patchtest.Rich, `[{"op":"remove","path":"/spec/containers/0/enviroment/0"}]`, `op 1 (remove "/spec/containers/0/enviroment/0"): "/spec/containers/0/enviroment" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/env/0"?`},
		"underscores":                          {patchtest.Rich, `[{"op":"remove","path":"/spec/containers/0/volume_mounts/0"}]`, `op 1 (remove "/spec/containers/0/volume_mounts/0"): "/spec/containers/0/volume_mounts" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/volumeMounts/0"?`},
		"a field of the Pod, in a container":   {patchtest.Rich, `[{"op":"remove","path":"/spec/containers/0/volumes/0"}]`, `op 1 (remove "/spec/containers/0/volumes/0"): "/spec/containers/0/volumes" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/volumes/0"?`},
		"a field of a container, in the Pod":   {patchtest.Rich, `[{"op":"remove","path":"/spec/image"}]`, `op 1 (remove "/spec/image"): "/spec/image" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"a parent that is left out":            {patchtest.Rich, `[{"op":"remove","path":"/spec/containers/0/limits/cpu"}]`, `op 1 (remove "/spec/containers/0/limits/cpu"): "/spec/containers/0/limits" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/resources/limits/cpu"?`},
		"without spec":                         {patchtest.Rich, `[{"op":"replace","path":"/containers/0/image","value":"x"}]`, `op 1 (replace "/containers/0/image"): "/containers" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"without metadata":                     {patchtest.Rich, `[{"op":"replace","path":"/labels/app","value":"x"}]`, `op 1 (replace "/labels/app"): "/labels" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/labels/app"?`},
		"labels in the spec":                   {patchtest.Rich, `[{"op":"remove","path":"/spec/labels/app"}]`, `op 1 (remove "/spec/labels/app"): "/spec/labels" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/labels/app"?`},
		"no slash at the front":                {patchtest.Rich, `[{"op":"replace","path":"spec/containers/0/image","value":"x"}]`, `op 1 (replace "spec/containers/0/image"): its path is not a pointer to a field: it must begin with a slash: did you mean "/spec/containers/0/image"?`},
		"dots":                                 {patchtest.Rich, `[{"op":"replace","path":"spec.containers[0].image","value":"x"}]`, `op 1 (replace "spec.containers[0].image"): its path is not a pointer to a field: it must begin with a slash: did you mean "/spec/containers/0/image"?`},
		"JSONPath":                             {patchtest.Rich, `[{"op":"replace","path":"$.metadata.labels['app.kubernetes.io/name']","value":"x"}]`, `op 1 (replace "$.metadata.labels['app.kubernetes.io/name']"): its path is not a pointer to a field: it must begin with a slash: did you mean "/metadata/labels/app.kubernetes.io~1name"?`},
		"dots and a key with dots":             {patchtest.Rich, `[{"op":"add","path":"metadata.annotations.example.com/x","value":"x"}]`, `op 1 (add "metadata.annotations.example.com/x"): its path is not a pointer to a field: it must begin with a slash: did you mean "/metadata/annotations/example.com~1x"?`},
		"dots, and a singular":                 {patchtest.Rich, `[{"op":"add","path":".spec.container.0.image","value":"x"}]`, `op 1 (add ".spec.container.0.image"): its path is not a pointer to a field: it must begin with a slash: did you mean "/spec/containers/0/image"?`},
		"an index in brackets":                 {patchtest.Rich, `[{"op":"replace","path":"/spec/containers[0]/image","value":"x"}]`, `op 1 (replace "/spec/containers[0]/image"): "/spec/containers[0]" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"a URI fragment":                       {patchtest.Rich, `[{"op":"replace","path":"#/spec/containers/0/image","value":"x"}]`, `op 1 (replace "#/spec/containers/0/image"): its path is not a pointer to a field: it must begin with a slash: did you mean "/spec/containers/0/image"?`},
		"no path that a Pod has":               {patchtest.Rich, `[{"op":"replace","path":"hello world","value":"x"}]`, `op 1 (replace "hello world"): its path is not a pointer to a field: it must begin with a slash`},
		"below the object of a review":         {patchtest.Rich, `[{"op":"replace","path":"/object/spec/containers/0/image","value":"x"}]`, `op 1 (replace "/object/spec/containers/0/image"): "/object" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"below its request":                    {patchtest.Rich, `[{"op":"replace","path":"/request/object/metadata/labels/app","value":"x"}]`, `op 1 (replace "/request/object/metadata/labels/app"): "/request" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/labels/app"?`},
		"below pod":                            {patchtest.Rich, `[{"op":"remove","path":"/pod/spec/volumes/0"}]`, `op 1 (remove "/pod/spec/volumes/0"): "/pod" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/volumes/0"?`},
		"a Deployment's":                       {patchtest.Rich, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"x"}]`, `op 1 (replace "/spec/template/spec/containers/0/image"): "/spec/template" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"a Deployment's, misspelt":             {patchtest.Rich, `[{"op":"replace","path":"/spec/template/spec/container/0/image","value":"x"}]`, `op 1 (replace "/spec/template/spec/container/0/image"): "/spec/template" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"a CronJob's":                          {patchtest.Rich, `[{"op":"replace","path":"/spec/jobTemplate/spec/template/metadata/labels/app","value":"x"}]`, `op 1 (replace "/spec/jobTemplate/spec/template/metadata/labels/app"): "/spec/jobTemplate" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/labels/app"?`},
		"the name of an element for its index": {patchtest.Rich, `[{"op":"replace","path":"/spec/containers/side/image","value":"x"}]`, `op 1 (replace "/spec/containers/side/image"): "/spec/containers" is a list, and "side" is not an index: "side" is at index 1`},
		"a star for an index":                  {patchtest.Rich, `[{"op":"replace","path":"/spec/containers/*/image","value":"x"}]`, `op 1 (replace "/spec/containers/*/image"): "/spec/containers" is a list, and "*" is not an index: name one element, the first by 0`},
		"a name that no container has":         {patchtest.Rich, `[{"op":"replace","path":"/spec/containers/x/image","value":"x"}]`, `op 1 (replace "/spec/containers/x/image"): "/spec/containers" is a list, and "x" is not an index: name one element, the first by 0`},
		"a filter for an index":                {patchtest.Rich, `[{"op":"replace","path":"/spec/containers[?(@.name=='main')]/image","value":"x"}]`, `op 1 (replace "/spec/containers[?(@.name=='main')]/image"): "/spec/containers[?(@.name=='main')]" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"no index":                             {patchtest.Rich, `[{"op":"add","path":"/spec/containers/env/-","value":{"name":"X"}}]`, `op 1 (add "/spec/containers/env/-"): "/spec/containers" is a list, and "env" is not an index: did you mean "/spec/containers/0/env/-"?`},
		"a slash at the end":                   {patchtest.Rich, `[{"op":"add","path":"/spec/volumes/","value":{"name":"X"}}]`, `op 1 (add "/spec/volumes/"): "/spec/volumes" is a list, and "" is not an index: did you mean "/spec/volumes/-"?`},
		"two slashes":                          {patchtest.Rich, `[{"op":"replace","path":"//spec/containers/0/image","value":"X"}]`, `op 1 (replace "//spec/containers/0/image"): "/" is missing, and unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		"a slash after a key":                  {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/app/","value":"X"}]`, `op 1 (add "/metadata/labels/app/"): "/metadata/labels/app" is not an object or a list, so it cannot hold "": did you mean "/metadata/labels/app"?`},
		"below a string":                       {patchtest.Rich, `[{"op":"add","path":"/spec/hostname/x","value":"X"}]`, `op 1 (add "/spec/hostname/x"): "/spec/hostname" is not an object or a list, so it cannot hold "x"`},
		"a known parent that is missing, and a mistake below": {patchtest.Bare, `[{"op":"replace","path":"/spec/volumes/0/nam","value":"X"}]`, `op 1 (replace "/spec/volumes/0/nam"): "/spec/volumes" is missing: add a whole element at "/spec/volumes/-", which also creates the list`},
	})
}

// FuzzMeant says that a pointer that is read and written again is the same. It says that a path that is meant is one that a Pod can have, and that it is not meant otherwise itself.
func FuzzMeant(f *testing.F) {
	for _, path := range []string{
		"/spec/container/0/evn/0/value", "/metadata/annotations/example.com/x", "/object/spec/containers/0", "/spec/template/metadata/label/a/b", "/spec.containers[0].image",
		"//spec", "/spec/volumes/", "/labels/app", "/spec/containers/env/-", "/metadata/managedFields/0/fieldsV1/x/y", "/", "///", "/spec/[", "/spec/'.'/x", "/status/x", "/a~1b/c~0d",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if keys, err := jsonpointer.Parse(path); err == nil && jsonpointer.Format(keys...) != path {
			t.Errorf("%q is written again as %q", path, jsonpointer.Format(keys...))
		}
		var meant string
		fuzztest.Within(t, time.Second, 16<<20, func() { meant = apply.Meant(path) })
		if meant == "" {
			return
		}
		if meant == path {
			t.Errorf("%q is meant as itself", path)
		}
		if again := apply.Meant(meant); again != "" {
			t.Errorf("%q is meant as %q, and that as %q", path, meant, again)
		}
		if _, err := apply.ParsePointer(meant); err != nil {
			t.Errorf("%q is meant as %q: %v", path, meant, err)
		}
	})
}
