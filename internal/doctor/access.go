package doctor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/deploy"
	"github.com/txn2/amp/internal/serve"
)

// access is a right that amp needs, and whether it has it.
type access struct {
	authorizationv1.ResourceAttributes
	allowed bool
	reason  string // why the API server could not fully judge it, mostly empty
	err     error  // of asking
}

// needed are the rights that amp's ServiceAccount needs: those that the roles in deploy/ grant, so that there is no
// second list.
func needed(namespace string, config *serve.Config) []authorizationv1.ResourceAttributes {
	var paths []string
	if config.NamespacesFile == "" {
		paths = append(paths, "base/rbac.yaml")
	}
	if config.TLS == serve.TLSSelf {
		paths = append(paths, "self/rbac.yaml")
	}
	var all []authorizationv1.ResourceAttributes
	for _, path := range paths {
		for _, role := range roles(path) {
			scope := ""
			if role.Kind == "Role" {
				scope = namespace
			}
			for _, rule := range role.Rules {
				all = append(all, expand(rule, scope, config)...)
			}
		}
	}
	return all
}

// roles reads the Roles and ClusterRoles of a file of package deploy. The files are compiled in, so that an error is one
// of the build.
func roles(path string) []rbacv1.ClusterRole {
	content, err := deploy.Manifests.ReadFile(path)
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var all []rbacv1.ClusterRole
	for err == nil {
		var document []byte
		if document, err = documents.Read(); err != nil {
			break
		}
		var role rbacv1.ClusterRole
		if err = yaml.Unmarshal(document, &role); err == nil && strings.HasSuffix(role.Kind, "Role") {
			all = append(all, role)
		}
	}
	if !errors.Is(err, io.EOF) {
		panic(fmt.Sprintf("reading deploy/%s: %v", path, err))
	}
	return all
}

// expand lists what a rule allows one by one. The names in the rule are the defaults of variables.
func expand(rule rbacv1.PolicyRule, namespace string, config *serve.Config) (all []authorizationv1.ResourceAttributes) {
	configured := map[string][]string{"amp-tls": {config.TLSSecret}, "amp": config.Webhooks}
	var names []string
	for _, name := range rule.ResourceNames {
		if values, ok := configured[name]; ok {
			names = append(names, values...)
		} else {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{""} // any name
	}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, name := range names {
				for _, verb := range rule.Verbs {
					all = append(all, authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: resource, Name: name})
				}
			}
		}
	}
	return all
}
