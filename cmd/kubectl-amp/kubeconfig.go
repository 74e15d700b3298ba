package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/txn2/amp/internal/doctor"
)

// kubeconfig finds the cluster as kubectl does: in the file that --kubeconfig names, else in those that KUBECONFIG
// names, else in ~/.kube/config, else, in a Pod, by its ServiceAccount.
type kubeconfig struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides *clientcmd.ConfigOverrides
}

// nameFile is the remedy of naming a file.
const nameFile = "name a kubeconfig:\nkubectl amp doctor --kubeconfig FILE\nor export KUBECONFIG=FILE"

// load returns how to reach the cluster, and where that is from in words. The error is a *doctor.NotAsked.
func (k *kubeconfig) load() (config *rest.Config, source string, err error) {
	present, absent, bad := k.files()
	if bad != nil {
		return nil, "", bad
	}
	files := "kubeconfig " + strings.Join(present, ", ")
	raw, err := k.rules.Load()
	if err != nil {
		return nil, "", unusable(files, err.Error(), nameFile)
	}
	config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(k.rules, k.overrides).ClientConfig()
	name := cmp.Or(k.overrides.CurrentContext, raw.CurrentContext)
	context := raw.Contexts[name]
	if context != nil && context.LocationOfOrigin != "" {
		files = "kubeconfig " + absolute(context.LocationOfOrigin)
	}
	const another = "name another:\nkubectl amp doctor --context NAME"
	switch {
	case err == nil && k.overrides.ClusterInfo.Server != "":
		return config, "--server", nil
	case err == nil && len(present) == 0:
		return config, "the ServiceAccount of this Pod", nil
	case len(present) == 0:
		return nil, "", &doctor.NotAsked{Subject: "kubeconfig", Message: "found no kubeconfig: " + strings.Join(absent, "; "), Remedy: nameFile, Err: err}
	case name == "" && err != nil:
		return nil, "", unusable(files, "it has no current-context; "+contexts(raw), another)
	case context == nil && err != nil && name != "":
		return nil, "", unusable(files, fmt.Sprintf("it has no context %q; %s", name, contexts(raw)), another)
	case context != nil && k.overrides.Context.Cluster == "" && raw.Clusters[context.Cluster] == nil:
		return nil, "", unusable(files, fmt.Sprintf("its context %q names cluster %q, which it does not have", name, context.Cluster), another)
	case context != nil && k.overrides.Context.AuthInfo == "" && context.AuthInfo != "" && raw.AuthInfos[context.AuthInfo] == nil:
		return nil, "", unusable(files, fmt.Sprintf("its context %q names user %q, which it does not have", name, context.AuthInfo), another)
	case err != nil:
		return nil, "", unusable(files, err.Error(), "correct it. This shows it:\nkubectl "+k.flag()+"config view")
	}
	return config, files + ", context " + name, nil
}

// flag is --kubeconfig for a kubectl command, empty if it was not given.
func (k *kubeconfig) flag() string {
	if k.rules.ExplicitPath == "" {
		return ""
	}
	return "--kubeconfig " + doctor.Quoted(k.rules.ExplicitPath) + " "
}

// files are the kubeconfigs that there are, and why the others were looked for. bad says that one cannot be read.
func (k *kubeconfig) files() (present, absent []string, bad *doctor.NotAsked) {
	why := "KUBECONFIG is not set, and there is no "
	switch {
	case k.rules.ExplicitPath != "":
		why = "--kubeconfig names a file that does not exist: "
	case os.Getenv(clientcmd.RecommendedConfigPathEnvVar) != "":
		why = "KUBECONFIG names a file that does not exist: "
	}
	for _, name := range k.rules.GetLoadingPrecedence() {
		name = absolute(name)
		_, err := os.Stat(name)
		if err == nil {
			_, err = clientcmd.LoadFromFile(name)
		}
		switch {
		case err == nil:
			present = append(present, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, nil, unusable("kubeconfig "+name, unread(err), "correct it, or "+nameFile)
		case k.rules.ExplicitPath != "":
			return nil, nil, &doctor.NotAsked{Subject: "kubeconfig/" + name, Message: why + name, Remedy: nameFile, Err: err}
		default:
			absent = append(absent, why+name)
		}
	}
	return present, absent, nil
}

func absolute(name string) string {
	if full, err := filepath.Abs(name); err == nil {
		return full
	}
	return name
}

// unread says why a file could not be read.
func unread(err error) string {
	var path *fs.PathError
	text := err.Error()
	switch {
	case errors.As(err, &path):
		return path.Err.Error() // the message has the path already
	case runtime.IsNotRegisteredError(err), strings.Contains(text, "couldn't get version/kind"):
		return "it is not a file of kind Config"
	}
	return text
}

// unusable is the failure of a kubeconfig that was found.
func unusable(what, why, remedy string) *doctor.NotAsked {
	why = strings.Replace(strings.TrimPrefix(why, "invalid configuration: "), "auth info ", "user ", 1)
	return &doctor.NotAsked{Subject: strings.Replace(what, "kubeconfig ", "kubeconfig/", 1), Message: what + " cannot be used: " + why, Remedy: remedy}
}

// contexts says in words which contexts there are.
func contexts(raw *clientcmdapi.Config) string {
	if len(raw.Contexts) == 0 {
		return "it has no contexts at all"
	}
	return "it has " + strings.Join(slices.Sorted(maps.Keys(raw.Contexts)), ", ")
}
