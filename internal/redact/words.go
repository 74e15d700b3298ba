package redact

// words are the constants of the Kubernetes API's enumerations in a Pod. The API server rejects any other value at
// their places, but an event is sent before the API server has checked the Pod.
var words = map[string]bool{}

func init() {
	for _, w := range []string{
		"",
		"Always", "OnFailure", "Never", "IfNotPresent", // restart, image pull
		"Restart", "RestartAllContainers", "NotRequired", "RestartContainer",
		"TCP", "UDP", "SCTP", "HTTP", "HTTPS",
		"File", "FallbackToLogsOnError", // termination message
		"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", // DNS
		"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Equal",
		"NoSchedule", "PreferNoSchedule", "NoExecute",
		"DoNotSchedule", "ScheduleAnyway", "Honor", "Ignore", "PreemptLowerPriority",
		"DirectoryOrCreate", "Directory", "FileOrCreate", "Socket", "CharDevice", "BlockDevice", // host path
		"Memory", "HugePages",
		"HostToContainer", "Bidirectional", "Disabled", "IfPossible", "Enabled", // mounts
		"Unconfined", "RuntimeDefault", "Localhost", "Unmasked", // seccomp, AppArmor, /proc
		"Merge", "Strict", "Recursive", "MountOption", "OnRootMismatch",
		"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod", "Block", "Filesystem",
		"ReadOnly", "ReadWrite", "Shared", "Dedicated", "Managed", // Azure's disks
		"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", // keys of Pod certificates
	} {
		words[w] = true
	}
}
