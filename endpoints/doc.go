// Package endpoints is the contract between amp and the endpoints that decide about Pods, for authors of
// endpoints in Go. It does not know AdmissionReviews, webhooks or certificates: amp handles those.
//
// amp sends each new Pod of a namespace to the endpoint that the Namespace names. It sends one POST. The
// body is exactly the Pod. The headers are those of a CloudEvent in binary mode and say what the Pod does
// not say. [Mutate] is the short way to answer: the function changes the Pod, and the package works out the
// patch. [Handler] is the long way: the function answers with [Patch], [Refuse] or [Warn]. Both return a
// http.HandlerFunc, so an endpoint runs under net/http, functions-framework-go (functions.HTTP) or Knative.
// Do not use functions.Typed: it treats the answer as a format string.
//
// An endpoint without this package answers the same: in UTF-8, uncompressed, with a 2xx status. A denial is
// {"allowed":false,"status":{"message":"…"}}; other spellings are failures of the endpoint, and their message says what
// to write.
//
// An endpoint should answer within about a second. It should change nothing in a Pod that it has already
// changed. If [Review.DryRun] is set, it must not have any effect other than its answer: amp has promised
// that to Kubernetes.
package endpoints
