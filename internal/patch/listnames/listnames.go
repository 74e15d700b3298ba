// Package listnames tells the elements of a Pod's lists apart, by what names each one.
package listnames

import "github.com/txn2/amp/internal/patch/jsontree"

// places tell for each list of a Pod, by the field that holds it, where an element has its name. They are the keys of
// the lists in the Kubernetes API (listMapKey, patchMergeKey), and what names an element of the other lists.
var places = map[string][]jsontree.Pointer{
	"containers":       {{"name"}},
	"initContainers":   {{"name"}},
	"volumes":          {{"name"}},
	"items":            {{"path"}},
	"imagePullSecrets": {{"name"}},
	"schedulingGates":  {{"name"}},
	"resourceClaims":   {{"name"}},
	"claims":           {{"name"}},
	"sources": {{"secret", "name"}, {"configMap", "name"}, {"serviceAccountToken", "path"}, {"clusterTrustBundle", "path"},
		{"podCertificate", "credentialBundlePath"}, {"podCertificate", "keyPath"}},
	"env":                       {{"name"}},
	"sysctls":                   {{"name"}},
	"httpHeaders":               {{"name"}},
	"options":                   {{"name"}},
	"volumeMounts":              {{"mountPath"}},
	"volumeDevices":             {{"devicePath"}},
	"ports":                     {{"containerPort"}},
	"tolerations":               {{"key"}},
	"matchExpressions":          {{"key"}},
	"matchFields":               {{"key"}},
	"topologySpreadConstraints": {{"topologyKey"}},
	"readinessGates":            {{"conditionType"}},
	"resizePolicy":              {{"resourceName"}},
	"hostAliases":               {{"ip"}},
	"envFrom":                   {{"secretRef", "name"}, {"configMapRef", "name"}},
}

// Places are where in an element of a list it has its name: the first of these that it has. field is the one that holds the
// list. There are none if the list's elements have no names.
func Places(field string) []jsontree.Pointer { return places[field] }

// Of returns what an element of the list that field holds is called, a string or the digits of a number, and where in the
// element that stands. The name is "" if the element has none.
func Of(field string, element *jsontree.Node) (name string, at jsontree.Pointer) {
	for _, at := range places[field] {
		value := element.Get(at...)
		if name := value.Text() + value.Digits(); name != "" {
			return name, at
		}
	}
	return "", nil
}
