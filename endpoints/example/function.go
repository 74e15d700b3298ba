// Package example is an endpoint that shows what a patch can do. It mutates the Pods that ask for it. Use it
// to learn from and to try amp out, not in production.
package example

import (
	"net/http"
	"os"
	"sync"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() { functions.HTTP("example", Handler) }

// Handler is the function "example". AMP_EXAMPLE_IMAGE names the image of the init containers. It is read
// once.
func Handler(w http.ResponseWriter, r *http.Request) { once()(w, r) }

var once = sync.OnceValue(fromEnvironment)

func fromEnvironment() http.HandlerFunc {
	image := os.Getenv("AMP_EXAMPLE_IMAGE")
	if image == "" {
		image = DefaultImage
	}
	return New(image)
}
