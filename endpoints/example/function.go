// Package example is an endpoint that does a little of everything a patch can do, to Pods that ask for it.
// It is for reading and for trying amp out, not for production.
package example

import (
	"net/http"
	"os"
	"sync"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() { functions.HTTP("example", Handler) }

// Handler is the function "example". The init containers' image is that of AMP_EXAMPLE_IMAGE, read once.
func Handler(w http.ResponseWriter, r *http.Request) { once()(w, r) }

var once = sync.OnceValue(fromEnvironment)

func fromEnvironment() http.HandlerFunc {
	image := os.Getenv("AMP_EXAMPLE_IMAGE")
	if image == "" {
		image = DefaultImage
	}
	return New(image)
}
