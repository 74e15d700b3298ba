package redact

// The tables below name every place of a Pod that Kubernetes 1.36 knows, hidden ones too. A field that is in none
// of them is one that amp's authors have not looked at yet: a test compares the tables with the API's types, field
// by field.

var pod = object(map[string]*place{
	"kind":       name,
	"apiVersion": name,
	"metadata":   metadata,
	"spec":       podSpec,
	"status":     hidden, // no patch may change it
})

var metadata = object(map[string]*place{
	"name":                       name,
	"generateName":               name,
	"namespace":                  name,
	"labels":                     named(label),
	"annotations":                named(hidden), // whatever tools leave there, passwords included
	"finalizers":                 list(name),
	"ownerReferences":            list(object(map[string]*place{"apiVersion": name, "kind": name, "name": name, "uid": name, "controller": number, "blockOwnerDeletion": number})),
	"selfLink":                   hidden,
	"uid":                        hidden,
	"resourceVersion":            hidden,
	"generation":                 number,
	"creationTimestamp":          hidden,
	"deletionTimestamp":          hidden,
	"deletionGracePeriodSeconds": number,
	"managedFields":              hidden,
})

var podSpec = object(map[string]*place{
	"volumes":                       list(volume),
	"initContainers":                list(container(nil)),
	"containers":                    list(container(nil)),
	"ephemeralContainers":           list(container(map[string]*place{"targetContainerName": name})),
	"restartPolicy":                 word,
	"terminationGracePeriodSeconds": number,
	"activeDeadlineSeconds":         number,
	"dnsPolicy":                     word,
	"nodeSelector":                  named(label),
	"serviceAccountName":            name,
	"serviceAccount":                name,
	"automountServiceAccountToken":  number,
	"nodeName":                      name,
	"hostNetwork":                   number,
	"hostPID":                       number,
	"hostIPC":                       number,
	"shareProcessNamespace":         number,
	"securityContext":               podSecurityContext,
	"imagePullSecrets":              list(reference),
	"hostname":                      name,
	"hostnameOverride":              name,
	"subdomain":                     name,
	"affinity":                      affinity,
	"schedulerName":                 name,
	"tolerations":                   list(object(map[string]*place{"key": name, "operator": word, "value": label, "effect": word, "tolerationSeconds": number})),
	"hostAliases":                   list(object(map[string]*place{"ip": hidden, "hostnames": list(name)})),
	"priorityClassName":             name,
	"priority":                      number,
	"dnsConfig": object(map[string]*place{"nameservers": list(hidden), "searches": list(name),
		"options": list(object(map[string]*place{"name": name, "value": hidden}))}),
	"readinessGates":     list(object(map[string]*place{"conditionType": name})),
	"runtimeClassName":   name,
	"enableServiceLinks": number,
	"preemptionPolicy":   word,
	"overhead":           named(quantity),
	"topologySpreadConstraints": list(object(map[string]*place{"maxSkew": number, "topologyKey": name, "whenUnsatisfiable": word,
		"labelSelector": labelSelector, "minDomains": number, "nodeAffinityPolicy": word, "nodeTaintsPolicy": word, "matchLabelKeys": list(name)})),
	"setHostnameAsFQDN": number,
	"os":                object(map[string]*place{"name": name}),
	"hostUsers":         number,
	"schedulingGates":   list(reference),
	"resourceClaims":    list(object(map[string]*place{"name": name, "resourceClaimName": name, "resourceClaimTemplateName": name})),
	"resources":         resources,
	"schedulingGroup":   object(map[string]*place{"podGroupName": name}),
})

// container is a container of any kind, with the fields that only this kind has.
func container(more map[string]*place) *place {
	fields := map[string]*place{
		"name":       name,
		"image":      image,
		"command":    list(hidden),
		"args":       list(hidden),
		"workingDir": hidden,
		"ports":      list(object(map[string]*place{"name": port, "hostPort": port, "containerPort": port, "protocol": word, "hostIP": hidden})),
		"envFrom":    list(object(map[string]*place{"prefix": name, "configMapRef": optionalReference, "secretRef": optionalReference})),
		"env": list(object(map[string]*place{"name": name, "value": hidden, "valueFrom": object(map[string]*place{
			"fieldRef":         fieldRef,
			"resourceFieldRef": resourceFieldRef,
			"configMapKeyRef":  keyReference,
			"secretKeyRef":     keyReference,
			"fileKeyRef":       object(map[string]*place{"volumeName": name, "path": path, "key": name, "optional": number}),
		})})),
		"resources":     resources,
		"resizePolicy":  list(object(map[string]*place{"resourceName": name, "restartPolicy": word})),
		"restartPolicy": word,
		"restartPolicyRules": list(object(map[string]*place{"action": word,
			"exitCodes": object(map[string]*place{"operator": word, "values": list(number)})})),
		"volumeMounts": list(object(map[string]*place{"name": name, "readOnly": number, "recursiveReadOnly": word, "mountPath": path,
			"subPath": path, "subPathExpr": path, "mountPropagation": word})),
		"volumeDevices":            list(object(map[string]*place{"name": name, "devicePath": path})),
		"livenessProbe":            probe,
		"readinessProbe":           probe,
		"startupProbe":             probe,
		"lifecycle":                object(map[string]*place{"postStart": handler, "preStop": handler, "stopSignal": name}),
		"terminationMessagePath":   hidden,
		"terminationMessagePolicy": word,
		"imagePullPolicy":          word,
		"securityContext":          securityContext,
		"stdin":                    number,
		"stdinOnce":                number,
		"tty":                      number,
	}
	for key, value := range more {
		fields[key] = value
	}
	return object(fields)
}

// What probes and hooks run or ask for may carry credentials, in a path's query too.
var (
	command   = object(map[string]*place{"command": list(hidden)})
	tcpSocket = object(map[string]*place{"port": port, "host": hidden})
	httpGet   = object(map[string]*place{"path": hidden, "port": port, "host": hidden, "scheme": word,
		"httpHeaders": list(object(map[string]*place{"name": name, "value": hidden}))})

	handler = object(map[string]*place{"exec": command, "httpGet": httpGet, "tcpSocket": tcpSocket,
		"sleep": object(map[string]*place{"seconds": number})})
	probe = object(map[string]*place{"exec": command, "httpGet": httpGet, "tcpSocket": tcpSocket,
		"grpc":                object(map[string]*place{"port": port, "service": hidden}),
		"initialDelaySeconds": number, "timeoutSeconds": number, "periodSeconds": number, "successThreshold": number,
		"failureThreshold": number, "terminationGracePeriodSeconds": number})
)

// References, and what is chosen by them.
var (
	reference         = object(map[string]*place{"name": name})
	optionalReference = object(map[string]*place{"name": name, "optional": number})
	keyReference      = object(map[string]*place{"name": name, "key": name, "optional": number})
	fieldRef          = object(map[string]*place{"apiVersion": name, "fieldPath": name})
	resourceFieldRef  = object(map[string]*place{"containerName": name, "resource": name, "divisor": quantity})
	keyToPath         = object(map[string]*place{"key": name, "path": path, "mode": number})
	downwardFile      = object(map[string]*place{"path": path, "fieldRef": fieldRef, "resourceFieldRef": resourceFieldRef, "mode": number})
	labelSelector     = object(map[string]*place{"matchLabels": named(label),
		"matchExpressions": list(object(map[string]*place{"key": name, "operator": word, "values": list(label)}))})
	resources = object(map[string]*place{"limits": named(quantity), "requests": named(quantity),
		"claims": list(object(map[string]*place{"name": name, "request": name}))})
)

var (
	nodeRequirements = list(object(map[string]*place{"key": name, "operator": word, "values": list(label)}))
	nodeTerm         = object(map[string]*place{"matchExpressions": nodeRequirements, "matchFields": nodeRequirements})
	podTerm          = object(map[string]*place{"labelSelector": labelSelector, "namespaces": list(name), "topologyKey": name,
		"namespaceSelector": labelSelector, "matchLabelKeys": list(name), "mismatchLabelKeys": list(name)})
	podAffinity = object(map[string]*place{
		"requiredDuringSchedulingIgnoredDuringExecution":  list(podTerm),
		"preferredDuringSchedulingIgnoredDuringExecution": list(object(map[string]*place{"weight": number, "podAffinityTerm": podTerm})),
	})
	affinity = object(map[string]*place{
		"nodeAffinity": object(map[string]*place{
			"requiredDuringSchedulingIgnoredDuringExecution":  object(map[string]*place{"nodeSelectorTerms": list(nodeTerm)}),
			"preferredDuringSchedulingIgnoredDuringExecution": list(object(map[string]*place{"weight": number, "preference": nodeTerm})),
		}),
		"podAffinity":     podAffinity,
		"podAntiAffinity": podAffinity,
	})
)

// What a container may do is what an auditor asks first; it consists of names.
var (
	profile        = object(map[string]*place{"type": word, "localhostProfile": name})
	seLinuxOptions = object(map[string]*place{"user": label, "role": label, "type": label, "level": label})
	windowsOptions = object(map[string]*place{"gmsaCredentialSpecName": name, "gmsaCredentialSpec": hidden, "runAsUserName": name, "hostProcess": number})

	securityContext = object(map[string]*place{
		"capabilities": object(map[string]*place{"add": list(name), "drop": list(name)}),
		"privileged":   number, "seLinuxOptions": seLinuxOptions, "windowsOptions": windowsOptions,
		"runAsUser": number, "runAsGroup": number, "runAsNonRoot": number, "readOnlyRootFilesystem": number,
		"allowPrivilegeEscalation": number, "procMount": word, "seccompProfile": profile, "appArmorProfile": profile,
	})
	podSecurityContext = object(map[string]*place{
		"seLinuxOptions": seLinuxOptions, "windowsOptions": windowsOptions,
		"runAsUser": number, "runAsGroup": number, "runAsNonRoot": number,
		"supplementalGroups": list(number), "supplementalGroupsPolicy": word, "fsGroup": number,
		"sysctls":             list(object(map[string]*place{"name": name, "value": hidden})),
		"fsGroupChangePolicy": word, "seccompProfile": profile, "appArmorProfile": profile, "seLinuxChangePolicy": word,
	})
)

// volume shows what is mounted by its name or, for a host's or NFS server's directory, by its path. How a
// driver gets at it stays hidden: addresses, users, and options that are the driver's own.
var volume = object(map[string]*place{
	"name":                  name,
	"hostPath":              object(map[string]*place{"path": path, "type": word}),
	"emptyDir":              object(map[string]*place{"medium": word, "sizeLimit": quantity}),
	"secret":                object(map[string]*place{"secretName": name, "items": list(keyToPath), "defaultMode": number, "optional": number}),
	"configMap":             object(map[string]*place{"name": name, "items": list(keyToPath), "defaultMode": number, "optional": number}),
	"downwardAPI":           object(map[string]*place{"items": list(downwardFile), "defaultMode": number}),
	"persistentVolumeClaim": object(map[string]*place{"claimName": name, "readOnly": number}),
	"image":                 object(map[string]*place{"reference": image, "pullPolicy": word}),
	"projected": object(map[string]*place{"defaultMode": number, "sources": list(object(map[string]*place{
		"secret":              object(map[string]*place{"name": name, "items": list(keyToPath), "optional": number}),
		"configMap":           object(map[string]*place{"name": name, "items": list(keyToPath), "optional": number}),
		"downwardAPI":         object(map[string]*place{"items": list(downwardFile)}),
		"serviceAccountToken": object(map[string]*place{"audience": hidden, "expirationSeconds": number, "path": path}),
		"clusterTrustBundle": object(map[string]*place{"name": name, "signerName": name, "labelSelector": labelSelector,
			"optional": number, "path": path}),
		"podCertificate": object(map[string]*place{"signerName": name, "keyType": word, "maxExpirationSeconds": number,
			"credentialBundlePath": path, "keyPath": path, "certificateChainPath": path, "userAnnotations": named(hidden)}),
	}))}),
	"csi": object(map[string]*place{"driver": name, "readOnly": number, "fsType": hidden, "volumeAttributes": named(hidden),
		"nodePublishSecretRef": reference}),
	"ephemeral": object(map[string]*place{"volumeClaimTemplate": object(map[string]*place{"metadata": metadata, "spec": object(map[string]*place{
		"accessModes":               list(word),
		"selector":                  labelSelector,
		"resources":                 object(map[string]*place{"limits": named(quantity), "requests": named(quantity)}),
		"volumeName":                name,
		"storageClassName":          name,
		"volumeMode":                word,
		"dataSource":                object(map[string]*place{"apiGroup": name, "kind": name, "name": name}),
		"dataSourceRef":             object(map[string]*place{"apiGroup": name, "kind": name, "name": name, "namespace": name}),
		"volumeAttributesClassName": name,
	})})}),
	"nfs":        object(map[string]*place{"server": name, "path": path, "readOnly": number}),
	"flexVolume": object(map[string]*place{"driver": name, "fsType": hidden, "secretRef": reference, "readOnly": number, "options": named(hidden)}),

	"awsElasticBlockStore": object(map[string]*place{"volumeID": hidden, "fsType": hidden, "partition": number, "readOnly": number}),
	"azureDisk": object(map[string]*place{"diskName": name, "diskURI": hidden, "cachingMode": word, "fsType": hidden,
		"readOnly": number, "kind": word}),
	"azureFile": object(map[string]*place{"secretName": name, "shareName": name, "readOnly": number}),
	"cephfs": object(map[string]*place{"monitors": list(hidden), "path": hidden, "user": hidden, "secretFile": hidden,
		"secretRef": reference, "readOnly": number}),
	"cinder":            object(map[string]*place{"volumeID": hidden, "fsType": hidden, "readOnly": number, "secretRef": reference}),
	"fc":                object(map[string]*place{"targetWWNs": list(hidden), "lun": number, "fsType": hidden, "readOnly": number, "wwids": list(hidden)}),
	"flocker":           object(map[string]*place{"datasetName": name, "datasetUUID": hidden}),
	"gcePersistentDisk": object(map[string]*place{"pdName": name, "fsType": hidden, "partition": number, "readOnly": number}),
	"gitRepo":           object(map[string]*place{"repository": hidden, "revision": hidden, "directory": hidden}),
	"glusterfs":         object(map[string]*place{"endpoints": name, "path": hidden, "readOnly": number}),
	"iscsi": object(map[string]*place{"targetPortal": hidden, "iqn": hidden, "lun": number, "iscsiInterface": hidden, "fsType": hidden,
		"readOnly": number, "portals": list(hidden), "chapAuthDiscovery": number, "chapAuthSession": number, "secretRef": reference,
		"initiatorName": hidden}),
	"photonPersistentDisk": object(map[string]*place{"pdID": hidden, "fsType": hidden}),
	"portworxVolume":       object(map[string]*place{"volumeID": hidden, "fsType": hidden, "readOnly": number}),
	"quobyte": object(map[string]*place{"registry": hidden, "volume": name, "readOnly": number, "user": hidden, "group": hidden,
		"tenant": hidden}),
	"rbd": object(map[string]*place{"monitors": list(hidden), "image": name, "fsType": hidden, "pool": name, "user": hidden,
		"keyring": hidden, "secretRef": reference, "readOnly": number}),
	"scaleIO": object(map[string]*place{"gateway": hidden, "system": hidden, "secretRef": reference, "sslEnabled": number,
		"protectionDomain": hidden, "storagePool": hidden, "storageMode": hidden, "volumeName": name, "fsType": hidden, "readOnly": number}),
	"storageos": object(map[string]*place{"volumeName": name, "volumeNamespace": name, "fsType": hidden, "readOnly": number,
		"secretRef": reference}),
	"vsphereVolume": object(map[string]*place{"volumePath": hidden, "fsType": hidden, "storagePolicyName": name, "storagePolicyID": hidden}),
})
