package redact

import "slices"

// The tables below name every place of a Pod that Kubernetes 1.36 knows, hidden ones too. A field that is in none
// of them is one that amp's authors have not looked at yet: a test compares the tables with the API's types, field
// by field.

var pod = object{
	{"kind", name},
	{"apiVersion", name},
	{"metadata", &metadata},
	{"spec", &podSpec},
	{"status", hidden}, // no patch may change it
}

var metadata = object{
	{"name", name},
	{"generateName", name},
	{"namespace", name},
	{"labels", named{label}},
	{"annotations", named{hidden}}, // whatever tools leave there, passwords included
	{"finalizers", list{name}},
	{"ownerReferences", list{object{{"apiVersion", name}, {"kind", name}, {"name", name}, {"uid", name}, {"controller", number}, {"blockOwnerDeletion", number}}}},
	{"selfLink", hidden},
	{"uid", hidden},
	{"resourceVersion", hidden},
	{"generation", number},
	{"creationTimestamp", hidden},
	{"deletionTimestamp", hidden},
	{"deletionGracePeriodSeconds", number},
	{"managedFields", hidden},
}

var podSpec = object{
	{"volumes", list{&volume}},
	{"initContainers", list{&container}},
	{"containers", list{&container}},
	{"ephemeralContainers", list{&ephemeralContainer}},
	{"restartPolicy", word},
	{"terminationGracePeriodSeconds", number},
	{"activeDeadlineSeconds", number},
	{"dnsPolicy", word},
	{"nodeSelector", named{label}},
	{"serviceAccountName", name},
	{"serviceAccount", name},
	{"automountServiceAccountToken", number},
	{"nodeName", name},
	{"hostNetwork", number},
	{"hostPID", number},
	{"hostIPC", number},
	{"shareProcessNamespace", number},
	{"securityContext", &podSecurityContext},
	{"imagePullSecrets", list{&reference}},
	{"hostname", name},
	{"hostnameOverride", name},
	{"subdomain", name},
	{"affinity", &affinity},
	{"schedulerName", name},
	{"tolerations", list{object{{"key", name}, {"operator", word}, {"value", label}, {"effect", word}, {"tolerationSeconds", number}}}},
	{"hostAliases", list{object{{"ip", hidden}, {"hostnames", list{name}}}}},
	{"priorityClassName", name},
	{"priority", number},
	{"dnsConfig", object{{"nameservers", list{hidden}}, {"searches", list{name}},
		{"options", list{object{{"name", name}, {"value", hidden}}}}}},
	{"readinessGates", list{object{{"conditionType", name}}}},
	{"runtimeClassName", name},
	{"enableServiceLinks", number},
	{"preemptionPolicy", word},
	{"overhead", named{quantity}},
	{"topologySpreadConstraints", list{object{{"maxSkew", number}, {"topologyKey", name}, {"whenUnsatisfiable", word},
		{"labelSelector", &labelSelector}, {"minDomains", number}, {"nodeAffinityPolicy", word}, {"nodeTaintsPolicy", word}, {"matchLabelKeys", list{name}}}}},
	{"setHostnameAsFQDN", number},
	{"os", object{{"name", name}}},
	{"hostUsers", number},
	{"schedulingGates", list{&reference}},
	{"resourceClaims", list{object{{"name", name}, {"resourceClaimName", name}, {"resourceClaimTemplateName", name}}}},
	{"resources", &resources},
	{"schedulingGroup", object{{"podGroupName", name}}},
}

var container = object{
	{"name", name},
	{"image", image},
	{"command", list{hidden}},
	{"args", list{hidden}},
	{"workingDir", hidden},
	{"ports", list{object{{"name", port}, {"hostPort", port}, {"containerPort", port}, {"protocol", word}, {"hostIP", hidden}}}},
	{"envFrom", list{object{{"prefix", name}, {"configMapRef", &optionalReference}, {"secretRef", &optionalReference}}}},
	{"env", list{object{{"name", name}, {"value", hidden}, {"valueFrom", object{
		{"fieldRef", &fieldRef},
		{"resourceFieldRef", &resourceFieldRef},
		{"configMapKeyRef", &keyReference},
		{"secretKeyRef", &keyReference},
		{"fileKeyRef", object{{"volumeName", name}, {"path", path}, {"key", name}, {"optional", number}}},
	}}}}},
	{"resources", &resources},
	{"resizePolicy", list{object{{"resourceName", name}, {"restartPolicy", word}}}},
	{"restartPolicy", word},
	{"restartPolicyRules", list{object{{"action", word},
		{"exitCodes", object{{"operator", word}, {"values", list{number}}}}}}},
	{"volumeMounts", list{object{{"name", name}, {"readOnly", number}, {"recursiveReadOnly", word}, {"mountPath", path},
		{"subPath", path}, {"subPathExpr", path}, {"mountPropagation", word}}}},
	{"volumeDevices", list{object{{"name", name}, {"devicePath", path}}}},
	{"livenessProbe", &probe},
	{"readinessProbe", &probe},
	{"startupProbe", &probe},
	{"lifecycle", object{{"postStart", &handler}, {"preStop", &handler}, {"stopSignal", name}}},
	{"terminationMessagePath", hidden},
	{"terminationMessagePolicy", word},
	{"imagePullPolicy", word},
	{"securityContext", &securityContext},
	{"stdin", number},
	{"stdinOnce", number},
	{"tty", number},
}

// ephemeralContainer has one more field.
var ephemeralContainer = append(slices.Clip(container), field{"targetContainerName", name})

// What probes and hooks run or ask for may carry credentials, in a path's query too.
var (
	command   = object{{"command", list{hidden}}}
	tcpSocket = object{{"port", port}, {"host", hidden}}
	httpGet   = object{{"path", hidden}, {"port", port}, {"host", hidden}, {"scheme", word},
		{"httpHeaders", list{object{{"name", name}, {"value", hidden}}}}}

	handler = object{{"exec", &command}, {"httpGet", &httpGet}, {"tcpSocket", &tcpSocket},
		{"sleep", object{{"seconds", number}}}}
	probe = object{{"exec", &command}, {"httpGet", &httpGet}, {"tcpSocket", &tcpSocket},
		{"grpc", object{{"port", port}, {"service", hidden}}},
		{"initialDelaySeconds", number}, {"timeoutSeconds", number}, {"periodSeconds", number}, {"successThreshold", number},
		{"failureThreshold", number}, {"terminationGracePeriodSeconds", number}}
)

// References, and what is chosen by them.
var (
	reference         = object{{"name", name}}
	optionalReference = object{{"name", name}, {"optional", number}}
	keyReference      = object{{"name", name}, {"key", name}, {"optional", number}}
	fieldRef          = object{{"apiVersion", name}, {"fieldPath", name}}
	resourceFieldRef  = object{{"containerName", name}, {"resource", name}, {"divisor", quantity}}
	keyToPath         = object{{"key", name}, {"path", path}, {"mode", number}}
	downwardFile      = object{{"path", path}, {"fieldRef", &fieldRef}, {"resourceFieldRef", &resourceFieldRef}, {"mode", number}}
	labelSelector     = object{{"matchLabels", named{label}},
		{"matchExpressions", list{object{{"key", name}, {"operator", word}, {"values", list{label}}}}}}
	resources = object{{"limits", named{quantity}}, {"requests", named{quantity}},
		{"claims", list{object{{"name", name}, {"request", name}}}}}
)

var (
	nodeRequirement = object{{"key", name}, {"operator", word}, {"values", list{label}}}
	nodeTerm        = object{{"matchExpressions", list{&nodeRequirement}}, {"matchFields", list{&nodeRequirement}}}
	podTerm         = object{{"labelSelector", &labelSelector}, {"namespaces", list{name}}, {"topologyKey", name},
		{"namespaceSelector", &labelSelector}, {"matchLabelKeys", list{name}}, {"mismatchLabelKeys", list{name}}}
	podAffinity = object{
		{"requiredDuringSchedulingIgnoredDuringExecution", list{&podTerm}},
		{"preferredDuringSchedulingIgnoredDuringExecution", list{object{{"weight", number}, {"podAffinityTerm", &podTerm}}}},
	}
	affinity = object{
		{"nodeAffinity", object{
			{"requiredDuringSchedulingIgnoredDuringExecution", object{{"nodeSelectorTerms", list{&nodeTerm}}}},
			{"preferredDuringSchedulingIgnoredDuringExecution", list{object{{"weight", number}, {"preference", &nodeTerm}}}},
		}},
		{"podAffinity", &podAffinity},
		{"podAntiAffinity", &podAffinity},
	}
)

// What a container may do is what an auditor asks first; it consists of names.
var (
	profile        = object{{"type", word}, {"localhostProfile", name}}
	seLinuxOptions = object{{"user", label}, {"role", label}, {"type", label}, {"level", label}}
	windowsOptions = object{{"gmsaCredentialSpecName", name}, {"gmsaCredentialSpec", hidden}, {"runAsUserName", name}, {"hostProcess", number}}

	securityContext = object{
		{"capabilities", object{{"add", list{name}}, {"drop", list{name}}}},
		{"privileged", number}, {"seLinuxOptions", &seLinuxOptions}, {"windowsOptions", &windowsOptions},
		{"runAsUser", number}, {"runAsGroup", number}, {"runAsNonRoot", number}, {"readOnlyRootFilesystem", number},
		{"allowPrivilegeEscalation", number}, {"procMount", word}, {"seccompProfile", &profile}, {"appArmorProfile", &profile},
	}
	podSecurityContext = object{
		{"seLinuxOptions", &seLinuxOptions}, {"windowsOptions", &windowsOptions},
		{"runAsUser", number}, {"runAsGroup", number}, {"runAsNonRoot", number},
		{"supplementalGroups", list{number}}, {"supplementalGroupsPolicy", word}, {"fsGroup", number},
		{"sysctls", list{object{{"name", name}, {"value", hidden}}}},
		{"fsGroupChangePolicy", word}, {"seccompProfile", &profile}, {"appArmorProfile", &profile}, {"seLinuxChangePolicy", word},
	}
)

// volume shows what is mounted by its name or, for a host's or NFS server's directory, by its path. How a
// driver gets at it stays hidden: addresses, users, and options that are the driver's own.
var volume = object{
	{"name", name},
	{"hostPath", object{{"path", path}, {"type", word}}},
	{"emptyDir", object{{"medium", word}, {"sizeLimit", quantity}}},
	{"secret", object{{"secretName", name}, {"items", list{&keyToPath}}, {"defaultMode", number}, {"optional", number}}},
	{"configMap", object{{"name", name}, {"items", list{&keyToPath}}, {"defaultMode", number}, {"optional", number}}},
	{"downwardAPI", object{{"items", list{&downwardFile}}, {"defaultMode", number}}},
	{"persistentVolumeClaim", object{{"claimName", name}, {"readOnly", number}}},
	{"image", object{{"reference", image}, {"pullPolicy", word}}},
	{"projected", object{{"defaultMode", number}, {"sources", list{object{
		{"secret", object{{"name", name}, {"items", list{&keyToPath}}, {"optional", number}}},
		{"configMap", object{{"name", name}, {"items", list{&keyToPath}}, {"optional", number}}},
		{"downwardAPI", object{{"items", list{&downwardFile}}}},
		{"serviceAccountToken", object{{"audience", hidden}, {"expirationSeconds", number}, {"path", path}}},
		{"clusterTrustBundle", object{{"name", name}, {"signerName", name}, {"labelSelector", &labelSelector},
			{"optional", number}, {"path", path}}},
		{"podCertificate", object{{"signerName", name}, {"keyType", word}, {"maxExpirationSeconds", number},
			{"credentialBundlePath", path}, {"keyPath", path}, {"certificateChainPath", path}, {"userAnnotations", named{hidden}}}},
	}}}}},
	{"csi", object{{"driver", name}, {"readOnly", number}, {"fsType", hidden}, {"volumeAttributes", named{hidden}},
		{"nodePublishSecretRef", &reference}}},
	{"ephemeral", object{{"volumeClaimTemplate", object{{"metadata", &metadata}, {"spec", object{
		{"accessModes", list{word}},
		{"selector", &labelSelector},
		{"resources", object{{"limits", named{quantity}}, {"requests", named{quantity}}}},
		{"volumeName", name},
		{"storageClassName", name},
		{"volumeMode", word},
		{"dataSource", object{{"apiGroup", name}, {"kind", name}, {"name", name}}},
		{"dataSourceRef", object{{"apiGroup", name}, {"kind", name}, {"name", name}, {"namespace", name}}},
		{"volumeAttributesClassName", name},
	}}}}}},
	{"nfs", object{{"server", name}, {"path", path}, {"readOnly", number}}},
	{"flexVolume", object{{"driver", name}, {"fsType", hidden}, {"secretRef", &reference}, {"readOnly", number}, {"options", named{hidden}}}},

	{"awsElasticBlockStore", object{{"volumeID", hidden}, {"fsType", hidden}, {"partition", number}, {"readOnly", number}}},
	{"azureDisk", object{{"diskName", name}, {"diskURI", hidden}, {"cachingMode", word}, {"fsType", hidden},
		{"readOnly", number}, {"kind", word}}},
	{"azureFile", object{{"secretName", name}, {"shareName", name}, {"readOnly", number}}},
	{"cephfs", object{{"monitors", list{hidden}}, {"path", hidden}, {"user", hidden}, {"secretFile", hidden},
		{"secretRef", &reference}, {"readOnly", number}}},
	{"cinder", object{{"volumeID", hidden}, {"fsType", hidden}, {"readOnly", number}, {"secretRef", &reference}}},
	{"fc", object{{"targetWWNs", list{hidden}}, {"lun", number}, {"fsType", hidden}, {"readOnly", number}, {"wwids", list{hidden}}}},
	{"flocker", object{{"datasetName", name}, {"datasetUUID", hidden}}},
	{"gcePersistentDisk", object{{"pdName", name}, {"fsType", hidden}, {"partition", number}, {"readOnly", number}}},
	{"gitRepo", object{{"repository", hidden}, {"revision", hidden}, {"directory", hidden}}},
	{"glusterfs", object{{"endpoints", name}, {"path", hidden}, {"readOnly", number}}},
	{"iscsi", object{{"targetPortal", hidden}, {"iqn", hidden}, {"lun", number}, {"iscsiInterface", hidden}, {"fsType", hidden},
		{"readOnly", number}, {"portals", list{hidden}}, {"chapAuthDiscovery", number}, {"chapAuthSession", number}, {"secretRef", &reference},
		{"initiatorName", hidden}}},
	{"photonPersistentDisk", object{{"pdID", hidden}, {"fsType", hidden}}},
	{"portworxVolume", object{{"volumeID", hidden}, {"fsType", hidden}, {"readOnly", number}}},
	{"quobyte", object{{"registry", hidden}, {"volume", name}, {"readOnly", number}, {"user", hidden}, {"group", hidden},
		{"tenant", hidden}}},
	{"rbd", object{{"monitors", list{hidden}}, {"image", name}, {"fsType", hidden}, {"pool", name}, {"user", hidden},
		{"keyring", hidden}, {"secretRef", &reference}, {"readOnly", number}}},
	{"scaleIO", object{{"gateway", hidden}, {"system", hidden}, {"secretRef", &reference}, {"sslEnabled", number},
		{"protectionDomain", hidden}, {"storagePool", hidden}, {"storageMode", hidden}, {"volumeName", name}, {"fsType", hidden}, {"readOnly", number}}},
	{"storageos", object{{"volumeName", name}, {"volumeNamespace", name}, {"fsType", hidden}, {"readOnly", number},
		{"secretRef", &reference}}},
	{"vsphereVolume", object{{"volumePath", hidden}, {"fsType", hidden}, {"storagePolicyName", name}, {"storagePolicyID", hidden}}},
}
