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

// access is one thing that amp must be allowed to do, and whether it is.
type access struct {
	authorizationv1.ResourceAttributes
	allowed bool
	err     error
}

// needed is what amp's ServiceAccount must be allowed to do: what the roles in deploy/ grant it, and no list
// of its own that could fall behind.
func needed(namespace string, config *serve.Config) []access {
	var paths []string
	if config.NamespacesFile == "" {
		paths = append(paths, "base/rbac.yaml")
	}
	if config.TLS == serve.TLSSelf {
		paths = append(paths, "self/rbac.yaml")
	}
	var all []access
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

// roles reads the Roles and ClusterRoles of a file of package deploy. They are compiled in, so that an error is
// one of the build.
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

// expand lists what a rule allows one by one. The names in it are the defaults of variables.
func expand(rule rbacv1.PolicyRule, namespace string, config *serve.Config) (all []access) {
	var names []string
	for _, name := range rule.ResourceNames {
		switch name {
		case "amp-tls":
			names = append(names, config.TLSSecret)
		case "amp":
			names = append(names, config.Webhooks...)
		default:
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, name := range names {
				for _, verb := range rule.Verbs {
					all = append(all, access{ResourceAttributes: authorizationv1.ResourceAttributes{
						Namespace: namespace, Verb: verb, Group: group, Resource: resource, Name: name,
					}})
				}
			}
		}
	}
	return all
}

// checkAccess tells whether amp's ServiceAccount may do what amp does.
func checkAccess(account string, all []access, fix remedies) Check {
	c := Check{ID: "rbac", Subject: "serviceaccount/" + account, Status: OK}
	if account == "" {
		c.Status, c.Message = Skipped, "not looked at: without a Deployment nothing says which ServiceAccount amp has"
		return c
	}
	c.Message = fmt.Sprintf("ServiceAccount %s may do what amp needs with AMP_TLS=%s", account, fix.tls)
	if fix.tls == "" {
		c.Message = fmt.Sprintf("ServiceAccount %s may read Namespaces; what it needs besides, AMP_TLS would say, which cannot be seen", account)
	}
	var order []string
	verbs := map[string][]string{} // by what they are lacking for
	for _, a := range all {
		if a.err != nil {
			c.Status, c.Message = Skipped, "not looked at: "+a.err.Error()
			return c
		}
		if a.allowed {
			continue
		}
		what := a.Resource
		if a.Name != "" {
			what += " " + a.Name
		}
		if verbs[what] == nil {
			order = append(order, what)
		}
		verbs[what] = append(verbs[what], a.Verb)
	}
	if len(order) == 0 {
		return c
	}
	var missing []string
	for _, what := range order {
		missing = append(missing, strings.Join(verbs[what], ", ")+" "+what)
	}
	c.Status, c.Message, c.Remedy = Failed, fmt.Sprintf("ServiceAccount %s may not %s", account, strings.Join(missing, "; ")), fix.apply()
	return c
}
