// Package require is a validating endpoint. It refuses a Pod that uses an image from a registry that is not
// on a list. It checks only the references: signatures are needed to prove that an image is what its name
// says.
package require

import (
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() { functions.HTTP("require", Handler) }

// Handler is the function "require". AMP_REQUIRE_REGISTRIES holds the list, separated by white space or
// commas. It is read once. If it is unset or empty, the list is [DefaultRegistries]. If it is bad, every
// request is answered with the error, because a function has no start that could fail.
func Handler(w http.ResponseWriter, r *http.Request) { once()(w, r) }

var once = sync.OnceValue(fromEnvironment)

func fromEnvironment() http.HandlerFunc {
	registries := strings.FieldsFunc(os.Getenv("AMP_REQUIRE_REGISTRIES"), func(r rune) bool {
		return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r'
	})
	if len(registries) == 0 {
		registries = DefaultRegistries
	}
	h, err := New(registries...)
	if err != nil {
		message := "reading AMP_REQUIRE_REGISTRIES: " + err.Error()
		slog.Error("require cannot answer", "err", message)
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, message, http.StatusInternalServerError) }
	}
	return h
}
