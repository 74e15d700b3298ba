package manifest

import (
	"slices"
	"strings"
)

// setDefaults adds what the API server adds to every Pod before it calls a webhook (k8s.io/kubernetes v1.36.3
// pkg/apis/core/v1 SetObjectDefaults_Pod). What the cluster decides is not here: the service account, the volume with its
// token, the priority. Nor are the sums of resources for the Pod as a whole (spec.resources).
func setDefaults(pod Object) {
	spec := child(pod, "spec")
	child(pod, "status")
	set(spec, "restartPolicy", "Always")
	set(spec, "dnsPolicy", "ClusterFirst")
	set(spec, "schedulerName", "default-scheduler")
	set(spec, "terminationGracePeriodSeconds", 30)
	set(spec, "enableServiceLinks", true)
	child(spec, "securityContext")
	for _, list := range []string{"initContainers", "containers"} {
		each(spec, list, setContainerDefaults)
		if spec["hostNetwork"] == true {
			each(spec, list, func(c Object) { each(c, "ports", setHostPort) })
		}
	}
	each(spec, "volumes", setVolumeDefaults)
	setTolerations(spec)
	if account, ok := spec["serviceAccount"].(string); ok {
		set(spec, "serviceAccountName", account)
	}
	if account, ok := spec["serviceAccountName"].(string); ok {
		spec["serviceAccount"] = account // the old name of the field
	}
}

// setTolerations adds what the admission plugin DefaultTolerationSeconds adds.
func setTolerations(spec Object) {
	tolerations, _ := spec["tolerations"].([]any)
	is := func(value any, text string) bool { return value == nil || value == "" || value == text }
	for _, key := range []string{"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"} {
		tolerated := slices.ContainsFunc(tolerations, func(t any) bool {
			one, ok := t.(Object)
			return ok && is(one["key"], key) && is(one["effect"], "NoExecute")
		})
		if !tolerated {
			tolerations = append(tolerations, Object{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
		}
	}
	spec["tolerations"] = tolerations
}

func setHostPort(port Object) {
	if is := port["containerPort"]; is != nil {
		set(port, "hostPort", is)
	}
}

// pullPolicy is the policy for an image that names none.
func pullPolicy(image string) string {
	name, _, digest := strings.Cut(image, "@")
	_, tag, tagged := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
	if tag == "latest" || !tagged && !digest {
		return "Always"
	}
	return "IfNotPresent"
}

func setContainerDefaults(c Object) {
	set(c, "terminationMessagePath", "/dev/termination-log")
	set(c, "terminationMessagePolicy", "File")
	image, _ := c["image"].(string)
	set(c, "imagePullPolicy", pullPolicy(image))
	resources := child(c, "resources")
	if limits, ok := resources["limits"].(Object); ok {
		requests := child(resources, "requests")
		for name, limit := range limits {
			set(requests, name, limit)
		}
	}
	each(c, "ports", func(p Object) { set(p, "protocol", "TCP") })
	each(c, "env", func(e Object) {
		from, _ := e["valueFrom"].(Object)
		setIn(from, "fieldRef", "apiVersion", "v1")
		setIn(from, "fileKeyRef", "optional", false)
	})
	for _, name := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		probe, ok := c[name].(Object)
		if !ok {
			continue
		}
		set(probe, "timeoutSeconds", 1)
		set(probe, "periodSeconds", 10)
		set(probe, "successThreshold", 1)
		set(probe, "failureThreshold", 3)
		setGetDefaults(probe)
		setIn(probe, "grpc", "service", "")
	}
	lifecycle, _ := c["lifecycle"].(Object)
	for _, name := range []string{"postStart", "preStop"} {
		hook, _ := lifecycle[name].(Object)
		setGetDefaults(hook)
	}
}

// setGetDefaults completes the HTTP request of a probe or a hook.
func setGetDefaults(handler Object) {
	setIn(handler, "httpGet", "path", "/")
	setIn(handler, "httpGet", "scheme", "HTTP")
}

// ofVolumes are the defaults of the kinds of volumes.
var ofVolumes = map[string]Object{
	"secret": {"defaultMode": 0o644}, "configMap": {"defaultMode": 0o644}, "downwardAPI": {"defaultMode": 0o644}, "projected": {"defaultMode": 0o644},
	"hostPath": {"type": ""}, "iscsi": {"iscsiInterface": "default"}, "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
	"azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": false, "kind": "Shared"}, "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}

func setVolumeDefaults(v Object) {
	for kind, fields := range ofVolumes {
		for field, value := range fields {
			setIn(v, kind, field, value)
		}
	}
	setItemDefaults(v)
	projected, _ := v["projected"].(Object)
	each(projected, "sources", func(source Object) {
		setItemDefaults(source)
		setIn(source, "serviceAccountToken", "expirationSeconds", 3600)
	})
	if image, ok := v["image"].(Object); ok {
		reference, _ := image["reference"].(string)
		set(image, "pullPolicy", pullPolicy(reference))
	}
	ephemeral, _ := v["ephemeral"].(Object)
	claim, _ := ephemeral["volumeClaimTemplate"].(Object)
	setIn(claim, "spec", "volumeMode", "Filesystem")
	if len(v) == 1 { // only a name
		v["emptyDir"] = Object{}
	}
}

// setItemDefaults completes the fields of the Pod that are files of a volume.
func setItemDefaults(source Object) {
	files, _ := source["downwardAPI"].(Object)
	each(files, "items", func(item Object) { setIn(item, "fieldRef", "apiVersion", "v1") })
}

// set sets a field that the object does not have.
func set(object Object, field string, value any) {
	if object[field] == nil {
		object[field] = value
	}
}

// setIn sets a field of an object in an object, if there is such an object and it does not have the field.
func setIn(object Object, name, field string, value any) {
	if inner, ok := object[name].(Object); ok {
		set(inner, field, value)
	}
}

// each calls f with each object of a list.
func each(object Object, list string, f func(Object)) {
	all, _ := object[list].([]any)
	for _, one := range all {
		if one, ok := one.(Object); ok {
			f(one)
		}
	}
}
