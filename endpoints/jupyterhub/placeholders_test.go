package jupyterhub

import (
	"strings"
	"testing"
)

// inVolume is a profiles file with one volume. What holds it begins in line 1.
func inVolume(source string) string {
	return "defaults: {volumes: [{name: v, " + source + "}], volumeMounts: [{name: v, mountPath: /v}]}"
}

func inMount(fields string) string {
	return "defaults: {volumes: [{name: v, emptyDir: {}}], volumeMounts: [{name: v, " + fields + "}]}"
}

func TestAMisspeltPlaceholderIsAMistake(t *testing.T) {
	for name, tc := range map[string]struct{ text, field string }{
		"a claim":                             {inVolume(`persistentVolumeClaim: {claimName: "home-{user}"}`), "volumes[0].persistentVolumeClaim.claimName"},
		"a directory of the node":             {inVolume(`hostPath: {path: "/home/{user}"}`), "volumes[0].hostPath.path"},
		"a directory of an NFS server":        {inVolume(`nfs: {server: s, path: "/export/{Username}"}`), "volumes[0].nfs.path"},
		"the server itself":                   {inVolume(`nfs: {server: "{user-name}.example", path: /}`), "volumes[0].nfs.server"},
		"a Secret":                            {inVolume(`secret: {secretName: "s3-{username }"}`), "volumes[0].secret.secretName"},
		"a ConfigMap among others":            {inVolume(`projected: {sources: [{configMap: {name: "of-{name}"}}]}`), "volumes[0].projected.sources[0].configMap.name"},
		"a subPath":                           {inMount(`mountPath: /v, subPath: "{USER}"`), "volumeMounts[0].subPath"},
		"a subPath with variables":            {inMount(`mountPath: /v, subPathExpr: "$(X)/{user}"`), "volumeMounts[0].subPathExpr"},
		"one in the way of a shell":           {inMount(`mountPath: /v, subPathExpr: "${HOME}"`), "volumeMounts[0].subPathExpr"},
		"a place in the container":            {inMount(`mountPath: "/home/{user}"`), "volumeMounts[0].mountPath"},
		"one without an end":                  {inVolume(`hostPath: {path: "/home/{username"}`), "volumes[0].hostPath.path"},
		"one without a beginning":             {inVolume(`hostPath: {path: "/home/username}"}`), "volumes[0].hostPath.path"},
		"one with two braces":                 {inVolume(`hostPath: {path: "/home/{{username}}"}`), "volumes[0].hostPath.path"},
		"next to a good one":                  {inVolume(`hostPath: {path: "/{user}/{username}"}`), "volumes[0].hostPath.path"},
		"an attribute of a driver":            {inVolume(`csi: {driver: d, volumeAttributes: {share: "//s/{user}"}}`), "volumes[0].csi.volumeAttributes.share"},
		"with spaces":                         {inVolume(`csi: {driver: d, volumeAttributes: {share: "//s/{ username }"}}`), "volumes[0].csi.volumeAttributes.share"},
		"with two braces":                     {inVolume(`csi: {driver: d, volumeAttributes: {share: "//s/{{username}}"}}`), "volumes[0].csi.volumeAttributes.share"},
		"within JSON":                         {inVolume(`csi: {driver: d, volumeAttributes: {a: '{"share":"{user}"}'}}`), "volumes[0].csi.volumeAttributes.a"},
		"an option of an old driver":          {inVolume(`flexVolume: {driver: d, options: {share: "//s/{user}"}}`), "volumes[0].flexVolume.options.share"},
		"an annotation of a claim":            {inVolume(`ephemeral: {volumeClaimTemplate: {metadata: {annotations: {a: "{user}"}}}}`), "volumes[0].ephemeral.volumeClaimTemplate.metadata.annotations.a"},
		"a Secret of a driver":                {inVolume(`csi: {driver: d, nodePublishSecretRef: {name: "s-{user}"}}`), "volumes[0].csi.nodePublishSecretRef.name"},
		"a mount of a sidecar":                {`defaults: {extraContainers: [{name: c, volumeMounts: [{name: v, mountPath: /v, subPath: "{user}"}]}]}`, "extraContainers[0].volumeMounts[0].subPath"},
		"a mount of init containers":          {`defaults: {initContainers: {volumeMounts: [{name: v, mountPath: /v, subPath: "{user}"}]}}`, "initContainers.volumeMounts[0].subPath"},
		"a Secret that a variable comes from": {`defaults: {env: [{name: A, valueFrom: {secretKeyRef: {name: "s3-{user}", key: k, optional: true}}}]}`, "env[0].valueFrom.secretKeyRef.name"},
		"one that all variables come from":    {`defaults: {envFrom: [{secretRef: {name: "s3-{user}", optional: true}}]}`, "envFrom[0].secretRef.name"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mistakesOf(tc.text)
			if want := (Mistake{1, "defaults." + tc.field, "the only placeholders are {username}, {servername} and {user_server}"}); len(m) != 1 || m[0] != want {
				t.Errorf("%v, want %v", m, want)
			}
		})
	}
}

func TestWhatOthersWouldReplaceIsAMistake(t *testing.T) {
	const kubernetes = "Kubernetes does not replace $(NAME) here: write {username}, or use subPathExpr in the mount"
	const dollar = "write the placeholder without a dollar: it would stay, before the name"
	for name, tc := range map[string]struct{ text, field, want string }{
		"a variable in a subPath":          {inMount(`mountPath: /v, subPath: "users/$(JUPYTERHUB_USER)"`), "volumeMounts[0].subPath", kubernetes},
		"in a directory of the node":       {inVolume(`hostPath: {path: "/home/$(JUPYTERHUB_USER)"}`), "volumes[0].hostPath.path", kubernetes},
		"a placeholder in a shell's words": {inVolume(`hostPath: {path: "/home/${username}"}`), "volumes[0].hostPath.path", dollar},
		"for a driver, too":                {inVolume(`csi: {driver: d, volumeAttributes: {share: "//s/${username}"}}`), "volumes[0].csi.volumeAttributes.share", dollar},
	} {
		t.Run(name, func(t *testing.T) {
			if m, want := mistakesOf(tc.text), (Mistake{1, "defaults." + tc.field, tc.want}); len(m) != 1 || m[0] != want {
				t.Errorf("%v, want %v", m, want)
			}
		})
	}
}

func TestWhatIsNoPlaceholderStays(t *testing.T) {
	for name, text := range map[string]string{
		"placeholders":                   inVolume(`hostPath: {path: "/home/{username}/{servername}/{user_server}"}`),
		"a variable in a subPathExpr":    inMount(`mountPath: /v, subPathExpr: "$(POD_NAME)/{username}"`),
		"a key that all share":           `defaults: {env: [{name: A, valueFrom: {configMapKeyRef: {name: flavours, key: "{servername}"}}}], envFrom: [{prefix: "{servername}_", configMapRef: {name: a}}]}`,
		"a driver's own variable":        inVolume(`csi: {driver: d, volumeAttributes: {share: "${pod.metadata.namespace}/${user}"}}`),
		"JSON for a driver":              inVolume(`csi: {driver: d, volumeAttributes: {a: '{"a":1}', b: "{}", c: '{"u":"{username}","l":[{"b":{}}]}'}}`),
		"YAML for a driver":              inVolume(`csi: {driver: d, volumeAttributes: {objects: "- {objectName: a, objectType: b}\n- {a,b}\n- {1}"}}`),
		"JSON in an annotation":          inVolume(`ephemeral: {volumeClaimTemplate: {metadata: {annotations: {a: '{"a":{"b":true}}'}}}}`),
		"the value of a variable":        `defaults: {env: [{name: LOG, value: "{asctime} {user}"}]}`,
		"an annotation and the sidecars": `defaults: {annotations: {a: "{name}"}, extraContainers: [{name: c, args: ["{name}"]}]}`,
	} {
		if m := mistakesOf(text); m != nil {
			t.Errorf("%s: %v", name, m)
		}
	}
}

// TestAServersNameAloneIsNoPlace: a user could name their server as another user is named.
func TestAServersNameAloneIsNoPlace(t *testing.T) {
	for name, text := range map[string]string{
		"a directory":               inVolume(`hostPath: {path: "/home/{servername}"}`),
		"a Secret of a variable":    `defaults: {env: [{name: A, valueFrom: {secretKeyRef: {name: "s3-{servername}", key: k}}}]}`,
		"a Secret of all variables": `defaults: {envFrom: [{secretRef: {name: "s3-{username}-{servername}"}}]}`,
	} {
		m := mistakesOf(text)
		if len(m) != 1 || !strings.Contains(m[0].Text, "{servername} is the user's choice") {
			t.Errorf("%s: %v", name, m)
		}
		if m := mistakesOf(strings.NewReplacer("{username}-{servername}", "{user_server}", "{servername}", "{user_server}").Replace(text)); m != nil {
			t.Errorf("%s, mended: %v", name, m)
		}
	}
}

// TestAMistakeIsSaidOnce, also if the name of one user begins with that of another and a dot.
func TestAMistakeIsSaidOnce(t *testing.T) {
	m := mistakesOf(`users: {al: {}, al.b: {volumeMounts: [{name: v, mountPath: /v, subPath: "{user}"}]}}`)
	if len(m) != 1 || !strings.HasPrefix(m[0].Field, "users.al.b.") {
		t.Errorf("%v", m)
	}
}
