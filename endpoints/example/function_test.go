package example

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheEnvironmentNamesTheImage(t *testing.T) {
	for value, want := range map[string]string{"": DefaultImage, "registry.example/sh:1": "registry.example/sh:1"} {
		t.Setenv("AMP_EXAMPLE_IMAGE", value)
		w := httptest.NewRecorder()
		fromEnvironment()(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"metadata":{`+annotated+`}}`)))
		if !strings.Contains(w.Body.String(), `"image":"`+want+`"`) {
			t.Errorf("with %q: %s", value, w.Body)
		}
	}
}
