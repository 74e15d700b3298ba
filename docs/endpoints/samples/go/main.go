// An endpoint in Go: it writes down who created a Pod.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/endpoints"
)

func main() {
	handler := endpoints.Mutate(func(_ context.Context, review *endpoints.Review, pod *corev1.Pod) error {
		if pod.Annotations["example.com/created-by"] == "" {
			pod.Annotations["example.com/created-by"] = review.User
		}
		return nil
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), handler))
}
