// Package jupyterhub is an endpoint that gives each user of a JupyterHub what a profiles file holds for
// them and their groups: environment, volumes, resources and more. It changes what a Pod has only where a
// profile says so (override).
//
// It trusts the Pod's annotations. So let amp forward only the Pods that the hub creates
// (amp.txn2.com/creators).
package jupyterhub

import (
	"net/http"
	"os"
	"sync"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() { functions.HTTP("jupyterhub", Handler) }

// Handler is the function "jupyterhub". AMP_JUPYTERHUB_PROFILES names the profiles file.
func Handler(w http.ResponseWriter, r *http.Request) { handler(once().profiles)(w, r) }

// Ready reads the profiles file for the first time. A host calls it before it serves, so that a file with a
// mistake is an error at the start and not with the first Pod.
func Ready() error {
	_, err := once().profiles()
	return err
}

// Valid is the metric amp_jupyterhub_profiles_valid: 1 if the profiles file as it is now is in force, else 0.
func Valid() float64 { return once().valid() }

var once = sync.OnceValue(fromEnvironment)

func fromEnvironment() *source { return &source{file: os.Getenv("AMP_JUPYTERHUB_PROFILES")} }
