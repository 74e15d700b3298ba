package review

// InstallNamespace is the namespace into which the manifests in deploy install amp.
const InstallNamespace = "amp-system"
