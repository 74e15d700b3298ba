package shapes

import "fmt"

// shape is a shape that is made: a Pod as the API server fills it in, and what its review says beside it.
type shape struct {
	name    string
	pod     object
	creator creator
	dryRun  bool
}

func (s shape) review(number int) ([]byte, error) {
	namespace, _ := s.pod["metadata"].(object)["namespace"].(string)
	return envelope(s.pod, request{uid: UID(number), namespace: namespace, user: s.creator, dryRun: s.dryRun})
}

// made returns the shapes that were not recorded.
func made() []shape {
	return []shape{
		{"a Pod with no lists: no labels, annotations, volumes or variables", pod(object{"name": "plain"}, object{}), user, false},
		{"a Pod with many lists", many(), user, false},
		{"a dry run of a Pod with many lists", many(), user, true},
		{"a Pod of 200 KB", large(200_000), user, false},
		{"a Deployment's Pod", owned("ReplicaSet", "apps/v1", "web-7d4b9c6f5d", object{"generateName": "web-7d4b9c6f5d-", "labels": object{"app": "web", "pod-template-hash": "7d4b9c6f5d"}}, object{}), controller("replicaset"), false},
		{"a StatefulSet's Pod", owned("StatefulSet", "apps/v1", "db", object{"name": "db-0", "labels": object{
			"app": "db", "apps.kubernetes.io/pod-index": "0", "controller-revision-hash": "db-6c5d8f7b9", "statefulset.kubernetes.io/pod-name": "db-0",
		}}, object{
			"hostname": "db-0", "subdomain": "db", "volumes": list{object{"name": "data", "persistentVolumeClaim": object{"claimName": "data-db-0"}}},
			"containers": list{container("db", object{"volumeMounts": list{object{"name": "data", "mountPath": "/var/lib/db"}}})},
		}), controller("statefulset"), false},
		{"a DaemonSet's Pod", owned("DaemonSet", "apps/v1", "agent", object{"generateName": "agent-", "labels": object{
			"app": "agent", "controller-revision-hash": "5f6c7d8b9", "pod-template-generation": "1",
		}}, object{"affinity": object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{"nodeSelectorTerms": list{
			object{"matchFields": list{object{"key": "metadata.name", "operator": "In", "values": list{"node-1"}}}},
		}}}}}), controller("daemon-set"), false},
		{"a Job's Pod", job("import", object{}, object{}), controller("job"), false},
		{"an Indexed Job's Pod", job("render", object{"batch.kubernetes.io/job-completion-index": "3"}, object{"batch.kubernetes.io/job-completion-index": "3"}), controller("job"), false},
		{"a CronJob's Pod", job("report-29401440", object{}, object{}), controller("job"), false},
		{"sidecars: init containers that go on", pod(object{"name": "sidecars", "labels": object{"app": "sidecars"}}, object{"initContainers": list{
			container("migrate", nil), container("proxy", object{"restartPolicy": "Always", "ports": list{object{"containerPort": 15001, "protocol": "TCP"}}}),
		}}), user, false},
		{"Windows", pod(object{"name": "windows", "labels": object{"app": "iis"}}, object{
			"os": object{"name": "windows"}, "nodeSelector": object{"kubernetes.io/os": "windows"},
			"securityContext": object{"windowsOptions": object{"runAsUserName": `NT AUTHORITY\LOCAL SERVICE`}},
			"containers":      list{container("iis", object{"command": list{"powershell.exe", "-Command", `Get-ChildItem C:\`}, "volumeMounts": list{object{"name": "logs", "mountPath": `C:\logs`}}})},
			"volumes":         list{object{"name": "logs", "emptyDir": object{}}},
		}), user, false},
		{"fields of the future", future(), user, false},
		{"names and values beyond ASCII, and keys with / and ~", pod(object{"name": "texts", "annotations": object{
			"example.com/owner": "Zoë Müller 🙂", "example.com/path~x": `C:\a "b" <c> & d`, "example.com/multi": "one\ntwo\n",
		}}, object{"containers": list{container("app", object{"env": list{object{"name": "GREETING", "value": "こんにちは"}, object{"name": "EMPTY"}}})}}), user, false},
		{"a creator with a long name: a distinguished name", pod(object{"name": "dn"}, object{}), creator{"CN=Zoë \"Z\" Müller,OU=data science,O=100% example", nil}, false},
		{"a copy of a Pod that amp mutated", pod(object{"name": "copy", "annotations": object{"amp.txn2.com/event": UID(4711)}}, object{}), user, false},
	}
}

// pod is a Pod with the API server's defaults, and with these members of metadata and spec.
func pod(metadata, spec object) object {
	all := object{
		"containers":    list{container("app", nil)},
		"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default", "serviceAccount": "default",
		"securityContext": object{}, "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
		"tolerations": list{
			object{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
			object{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
		},
	}
	for name, value := range spec {
		all[name] = value
	}
	if _, set := metadata["namespace"]; !set {
		metadata["namespace"] = "team-a"
	}
	return object{"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": all, "status": object{}}
}

// container is a container with the API server's defaults, and with these members.
func container(name string, members object) object {
	all := object{
		"name": name, "image": "registry.example/" + name + ":1", "resources": object{}, "imagePullPolicy": "IfNotPresent",
		"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
	}
	for key, value := range members {
		all[key] = value
	}
	return all
}

// owned is a Pod that a controller makes.
func owned(kind, version, name string, metadata, spec object) object {
	metadata["ownerReferences"] = list{object{
		"apiVersion": version, "kind": kind, "name": name, "uid": "8a7f5b1e-1c2d-4e3f-8a9b-0c1d2e3f4a5b", "controller": true, "blockOwnerDeletion": true,
	}}
	return pod(metadata, spec)
}

// job is a Job's Pod. A CronJob makes Jobs, so its Pods are Jobs' Pods.
func job(name string, labels, annotations object) object {
	const jobUID = "8a7f5b1e-1c2d-4e3f-8a9b-0c1d2e3f4a5b"
	for _, key := range []string{"controller-uid", "batch.kubernetes.io/controller-uid"} {
		labels[key] = jobUID
	}
	for _, key := range []string{"job-name", "batch.kubernetes.io/job-name"} {
		labels[key] = name
	}
	metadata := object{"generateName": name + "-", "labels": labels, "finalizers": list{"batch.kubernetes.io/job-tracking"}}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	return owned("Job", "batch/v1", name, metadata, object{"restartPolicy": "Never"})
}

// many is a Pod with several elements in each list that injectors change.
func many() object {
	app := container("app", object{
		"args":         list{"--port", "8080"},
		"env":          list{object{"name": "A", "value": "1"}, object{"name": "B", "valueFrom": object{"secretKeyRef": object{"name": "keys", "key": "b"}}}, object{"name": "C", "value": "3"}},
		"envFrom":      list{object{"configMapRef": object{"name": "settings"}}, object{"secretRef": object{"name": "keys"}}},
		"ports":        list{object{"name": "http", "containerPort": 8080, "protocol": "TCP"}, object{"name": "metrics", "containerPort": 9090, "protocol": "TCP"}},
		"resources":    object{"requests": object{"cpu": "250m", "memory": "256Mi"}, "limits": object{"cpu": "1", "memory": "1Gi"}},
		"volumeMounts": list{object{"name": "data", "mountPath": "/data"}, object{"name": "keys", "mountPath": "/etc/keys", "readOnly": true}},
	})
	return pod(object{
		"name": "many", "labels": object{"app": "many", "tier": "backend", "example.com/team": "blue"}, "annotations": object{"example.com/revision": "7", "note": "x"},
	}, object{
		"initContainers": list{container("fetch", nil), container("migrate", nil)},
		"containers":     list{app, container("exporter", object{"env": list{object{"name": "A", "value": "1"}}}), container("log", nil)},
		"volumes": list{object{"name": "data", "emptyDir": object{}}, object{"name": "keys", "secret": object{"secretName": "keys", "defaultMode": 420}},
			object{"name": "settings", "configMap": object{"name": "settings", "defaultMode": 420}}},
		"imagePullSecrets": list{object{"name": "registry"}}, "hostAliases": list{object{"ip": "10.0.0.7", "hostnames": list{"db", "db.local"}}},
		"nodeSelector":              object{"pool": "blue"},
		"topologySpreadConstraints": list{object{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": object{"matchLabels": object{"app": "many"}}}},
	})
}

// large is a Pod of about so many bytes: variables, and one long annotation.
func large(size int) object {
	var env list
	for i := range size/2/90 + 1 {
		env = append(env, object{"name": fmt.Sprintf("SETTING_%04d", i), "value": long(58)})
	}
	return pod(object{"name": "large", "annotations": object{"example.com/notes": long(size / 2)}}, object{"containers": list{container("app", object{"env": env})}})
}

// future is a Pod with fields that no API knows today: in the Pod, in a container, in an element of a list, and as a list.
func future() object {
	p := pod(object{"name": "future", "futureMetadata": object{"a": 1}}, object{
		"futureMode":    object{"level": 3, "ratio": 0.25, "of": list{"a", object{"b": nil}}},
		"futureNumbers": list{1, 2, 9007199254740993},
		"containers":    list{container("app", object{"futureLimit": "9", "env": list{object{"name": "A", "value": "1", "futureFlag": true}}})},
	})
	p["futureTop"] = "kept"
	return p
}
