package serve

import "runtime/debug"

// version is set by release builds: -ldflags "-X github.com/txn2/amp/internal/serve.version=v1.2.3".
var version string

// Version returns the version of the release. A build that is not a release has the version that the Go toolchain
// recorded of the module, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	// Under a foreign main, amp is a dependency.
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path == "github.com/txn2/amp" && module.Version != "" && module.Version != "(devel)" {
			return module.Version
		}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && info.Main.Path == "github.com/txn2/amp" {
			return "devel-" + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}
