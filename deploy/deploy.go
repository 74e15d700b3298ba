// Package deploy holds the parts of this folder that `kubectl amp doctor` compares an installation with.
package deploy

import "embed"

// Manifests are the manifests that decide whether the API server calls amp and what amp may do, by their
// paths in this folder.
//
//go:embed base/mutating.yaml base/validating.yaml base/rbac.yaml self/rbac.yaml
var Manifests embed.FS
