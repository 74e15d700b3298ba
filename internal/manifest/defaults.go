package manifest

import "strings"

// setDefaults adds what the API server adds to every Pod before it calls a webhook. What the cluster decides is not
// here: the service account, the volume with its token, the priority.
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
	}
	each(spec, "volumes", setVolumeDefaults)
	setTolerations(spec)
}

// setTolerations adds what the admission plugin DefaultTolerationSeconds adds.
func setTolerations(spec Object) {
	tolerations, _ := spec["tolerations"].([]any)
	for _, key := range []string{"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"} {
		tolerated := false
		for _, t := range tolerations {
			t, _ := t.(Object)
			tolerated = tolerated || t["key"] == key && (t["effect"] == "NoExecute" || t["effect"] == nil) || t["key"] == nil && t["operator"] == "Exists"
		}
		if !tolerated {
			tolerations = append(tolerations, Object{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
		}
	}
	spec["tolerations"] = tolerations
}

func setContainerDefaults(c Object) {
	set(c, "terminationMessagePath", "/dev/termination-log")
	set(c, "terminationMessagePolicy", "File")
	image, _ := c["image"].(string)
	pull := "IfNotPresent"
	last := image[strings.LastIndex(image, "/")+1:]
	if !strings.Contains(image, "@") && (!strings.Contains(last, ":") || strings.HasSuffix(last, ":latest")) {
		pull = "Always"
	}
	set(c, "imagePullPolicy", pull)
	resources := child(c, "resources")
	if limits, ok := resources["limits"].(Object); ok {
		requests := child(resources, "requests")
		for name, limit := range limits {
			set(requests, name, limit)
		}
	}
	each(c, "ports", func(p Object) { set(p, "protocol", "TCP") })
	each(c, "env", func(e Object) {
		if from, ok := e["valueFrom"].(Object); ok {
			if ref, ok := from["fieldRef"].(Object); ok {
				set(ref, "apiVersion", "v1")
			}
		}
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
		if get, ok := probe["httpGet"].(Object); ok {
			set(get, "path", "/")
			set(get, "scheme", "HTTP")
		}
	}
}

func setVolumeDefaults(v Object) {
	const mode = 0o644
	for _, kind := range []string{"secret", "configMap", "downwardAPI", "projected"} {
		if source, ok := v[kind].(Object); ok {
			set(source, "defaultMode", mode)
		}
	}
	if host, ok := v["hostPath"].(Object); ok {
		set(host, "type", "")
	}
	if len(v) == 1 { // only a name
		v["emptyDir"] = Object{}
	}
}

// set sets a field that the object does not have.
func set(object Object, field string, value any) {
	if object[field] == nil {
		object[field] = value
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
