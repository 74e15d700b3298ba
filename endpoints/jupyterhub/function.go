// Package jupyterhub is an endpoint that gives each user of a JupyterHub what a profiles file holds for
// them and their groups: environment, volumes and mounts. It only adds and does not change what a Pod has.
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
func Handler(w http.ResponseWriter, r *http.Request) { once()(w, r) }

var once = sync.OnceValue(fromEnvironment)

func fromEnvironment() http.HandlerFunc { return New(os.Getenv("AMP_JUPYTERHUB_PROFILES")) }
