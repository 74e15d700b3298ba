package review

import "time"

// InstallNamespace is the namespace into which the manifests in deploy install amp.
const InstallNamespace = "amp-system"

// DefaultTimeout is the time of a mutating review, all endpoints together, where nothing else is said: AMP_TIMEOUT's default.
// A validating review has half of it.
const DefaultTimeout = 1500 * time.Millisecond
