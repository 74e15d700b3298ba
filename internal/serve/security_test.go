package serve_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

const root = "../.."

func securityDoc(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestEachClaimHasItsTest finds every test and every attack that docs/security.md names.
func TestEachClaimHasItsTest(t *testing.T) {
	page := securityDoc(t)
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)` in `([^`]+)`").FindAllStringSubmatch(page, -1)
	if len(named) < 40 {
		t.Fatalf("the page names %d tests", len(named))
	}
	for _, m := range named {
		if !hasFunction(t, m[2], m[1]) {
			t.Errorf("there is no %s in %s", m[1], m[2])
		}
	}
	// A test that is named without its file may stand beside one that has it.
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, "`"+m[1]+"` in `") {
			t.Errorf("the page does not say where %s is", m[1])
		}
	}
	rows, err := os.ReadFile(root + "/test/attack/rows.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`make attack`( \\(([^)]*)\\))?").FindAllStringSubmatch(page, -1) {
		for kind := range strings.SplitSeq(m[2], ", ") {
			if !strings.Contains(string(rows), `{"`+kind+`", `) {
				t.Errorf("test/attack has no row of the kind %q", kind)
			}
		}
	}
	// Each row of a table of claims has a proof.
	claims, rest := 0, page
	for strings.Contains(rest, "| claim | proof |\n") {
		_, rest, _ = strings.Cut(rest, "| claim | proof |\n|---|---|\n")
		table, _, _ := strings.Cut(rest, "\n\n")
		for line := range strings.SplitSeq(table, "\n") {
			claims++
			if cells := strings.Split(line, " | "); len(cells) != 2 || !strings.Contains(cells[1], "` in `") && !strings.Contains(cells[1], "`make attack` (") {
				t.Errorf("no proof: %s", line)
			}
		}
	}
	if claims < 25 {
		t.Errorf("the page makes %d claims", claims)
	}
}

func hasFunction(t *testing.T, path, name string) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return false
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name {
			return true
		}
	}
	return false
}

// dangerous are patches by which an endpoint gives itself rights, by what it gets.
var dangerous = map[string]string{
	"another image":                         `{"op":"replace","path":"/spec/containers/0/image","value":"evil"}`,
	"another command":                       `{"op":"add","path":"/spec/containers/0/command","value":["sh"]}`,
	"other arguments":                       `{"op":"add","path":"/spec/containers/0/args","value":["-c","id"]}`,
	"an init container":                     `{"op":"add","path":"/spec/initContainers/-","value":{"name":"x","image":"evil"}}`,
	"a sidecar":                             `{"op":"add","path":"/spec/containers/-","value":{"name":"x","image":"evil"}}`,
	"a lifecycle hook":                      `{"op":"add","path":"/spec/containers/0/lifecycle","value":{"postStart":{"exec":{"command":["sh"]}}}}`,
	"a liveness probe":                      `{"op":"add","path":"/spec/containers/0/livenessProbe","value":{"exec":{"command":["sh"]}}}`,
	"a readiness probe of another host":     `{"op":"add","path":"/spec/containers/0/readinessProbe","value":{"httpGet":{"host":"10.0.0.1","port":80}}}`,
	"a startup probe":                       `{"op":"add","path":"/spec/containers/0/startupProbe","value":{"exec":{"command":["sh"]}}}`,
	"a privileged container":                `{"op":"add","path":"/spec/containers/0/securityContext","value":{"privileged":true}}`,
	"a capability":                          `{"op":"add","path":"/spec/containers/0/securityContext/capabilities","value":{"add":["SYS_ADMIN"]}}`,
	"no seccomp":                            `{"op":"add","path":"/spec/containers/0/securityContext/seccompProfile","value":{"type":"Unconfined"}}`,
	"root":                                  `{"op":"add","path":"/spec/securityContext/runAsUser","value":0}`,
	"a sysctl":                              `{"op":"add","path":"/spec/securityContext/sysctls","value":[{"name":"kernel.shm_rmid_forced","value":"0"}]}`,
	"the host's users":                      `{"op":"add","path":"/spec/hostUsers","value":true}`,
	"the processes of the other containers": `{"op":"add","path":"/spec/shareProcessNamespace","value":true}`,
	"a token of the ServiceAccount":         `{"op":"add","path":"/spec/automountServiceAccountToken","value":true}`,
	"a projected token for any audience":    `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","projected":{"sources":[{"serviceAccountToken":{"audience":"vault","path":"t"}}]}}}`,
	"a Secret as a volume":                  `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","secret":{"secretName":"s"}}}`,
	"a Secret in place of another volume":   `{"op":"replace","path":"/spec/volumes/0","value":{"name":"v","secret":{"secretName":"s"}}}`,
	"a Secret as a variable":                `{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"X","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}}`,
	"all of a Secret as variables":          `{"op":"add","path":"/spec/containers/0/envFrom/-","value":{"secretRef":{"name":"s"}}}`,
	"another's pull secret":                 `{"op":"add","path":"/spec/imagePullSecrets/-","value":{"name":"s"}}`,
	"the node's disk":                       `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","hostPath":{"path":"/"}}}`,
	"the node's disk, as a whole list":      `{"op":"replace","path":"/spec/volumes","value":[{"name":"v","hostPath":{"path":"/"}}]}`,
	"an NFS server":                         `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","nfs":{"server":"a","path":"/"}}}`,
	"a CSI driver":                          `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","csi":{"driver":"secrets-store.csi.k8s.io"}}}`,
	"a raw device":                          `{"op":"add","path":"/spec/containers/0/volumeDevices","value":[{"name":"v","devicePath":"/dev/x"}]}`,
	"mounts that reach the host":            `{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"v","mountPath":"/x","mountPropagation":"Bidirectional"}}`,
	"a port of the node":                    `{"op":"add","path":"/spec/containers/0/ports/-","value":{"containerPort":80,"hostPort":80}}`,
	"another address of a name":             `{"op":"add","path":"/spec/hostAliases","value":[{"ip":"10.0.0.1","hostnames":["db"]}]}`,
	"another name server":                   `{"op":"add","path":"/spec/dnsConfig","value":{"nameservers":["10.0.0.1"]}}`,
	"no name server":                        `{"op":"add","path":"/spec/dnsPolicy","value":"Default"}`,
	"a control plane's node":                `{"op":"add","path":"/spec/tolerations/-","value":{"operator":"Exists"}}`,
	"a node by its label":                   `{"op":"add","path":"/spec/nodeSelector","value":{"node-role.kubernetes.io/control-plane":""}}`,
	"a node by affinity":                    `{"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{}}}`,
	"another scheduler":                     `{"op":"add","path":"/spec/schedulerName","value":"mine"}`,
	"priority over others":                  `{"op":"add","path":"/spec/priorityClassName","value":"system-node-critical"}`,
	"no sandbox":                            `{"op":"add","path":"/spec/runtimeClassName","value":"runc"}`,
	"a device":                              `{"op":"add","path":"/spec/resourceClaims","value":[{"name":"x","resourceClaimName":"y"}]}`,
	"a place behind a Service":              `{"op":"add","path":"/metadata/labels/app","value":"payments"}`,
	"no AppArmor, by annotation":            `{"op":"add","path":"/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1main","value":"unconfined"}`,
	"all of it, as a whole spec":            `{"op":"replace","path":"/spec","value":{"containers":[{"name":"main","image":"i","securityContext":{"privileged":true}}]}}`,
	"a list of containers that has another": `{"op":"replace","path":"/spec/containers","value":[{"name":"main","image":"evil"}]}`,
}

// TestTheStricterDenyList tries each of them: the default lets it pass, and the list of docs/security.md refuses it.
func TestTheStricterDenyList(t *testing.T) {
	block := regexp.MustCompile(`(?s)AMP_PATCH_DENY="(.*?)"`).FindStringSubmatch(securityDoc(t))
	if block == nil {
		t.Fatal("the page has no list")
	}
	strict, byDefault := checkerOf(t, block[1]), checkerOf(t, "")
	pod := json.RawMessage(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w"},"spec":{"containers":[{"name":"main","image":"i"}],"volumes":[{"name":"v","emptyDir":{}}]}}`)
	check := func(c *patch.Checker, op string) error {
		var one review.Op
		if err := json.Unmarshal([]byte(op), &one); err != nil {
			t.Fatal(err)
		}
		_, err := c.Check(t.Context(), "ns", pod, []review.Op{one})
		return err
	}
	for what, op := range dangerous {
		t.Run(what, func(t *testing.T) {
			if err := check(byDefault, op); err != nil {
				t.Errorf("the default does not let it pass, which the page says: %v", err)
			}
			if err := check(strict, op); err == nil || !strings.Contains(err.Error(), "(AMP_PATCH_DENY)") {
				t.Errorf("the stricter list lets it pass: %v", err)
			}
		})
	}
	for what, op := range map[string]string{
		"a variable":  `{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A","value":"b"}}`,
		"a limit":     `{"op":"add","path":"/spec/containers/0/resources/limits/memory","value":"1Gi"}`,
		"a claim":     `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","persistentVolumeClaim":{"claimName":"c"}}}`,
		"a ConfigMap": `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","configMap":{"name":"c"}}}`,
		"a mount":     `{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"v","mountPath":"/v"}}`,
	} {
		t.Run("but "+what+" passes", func(t *testing.T) {
			if err := check(strict, op); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("each kind of volume", func(t *testing.T) {
		harmless := map[string]bool{"emptyDir": true, "configMap": true, "downwardAPI": true, "persistentVolumeClaim": true}
		source := reflect.TypeFor[corev1.VolumeSource]()
		for i := range source.NumField() {
			kind, _, _ := strings.Cut(source.Field(i).Tag.Get("json"), ",")
			err := check(strict, `{"op":"add","path":"/spec/volumes/-","value":{"name":"x","`+kind+`":{}}}`)
			if refused := err != nil && strings.Contains(err.Error(), "(AMP_PATCH_DENY)"); refused == harmless[kind] {
				t.Errorf("%s: %v", kind, err)
			}
		}
	})
}

// checkerOf is amp's check with a value of AMP_PATCH_DENY.
func checkerOf(t *testing.T, deny string) *patch.Checker {
	t.Helper()
	config, err := serve.Load(func(name string) string {
		if name == "AMP_PATCH_DENY" {
			return deny
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	return config.Patches
}
