// Package endpoints is the contract between amp and the endpoints that decide about Pods, for whoever
// writes one in Go. It knows nothing of Kubernetes' AdmissionReviews, webhooks or certificates: those are
// amp's side.
//
// amp sends each new Pod of a namespace to the endpoint that the Namespace names: one POST whose body is
// exactly the Pod and whose headers, a CloudEvent in binary mode, say what the Pod does not. [Mutate] is
// the short way to answer it: change the Pod, and the package works out the patch. [Handler] is the long
// way: answer with [Patch], [Refuse] or [Warn]. Both are a http.HandlerFunc, so an endpoint runs under
// net/http, under functions-framework-go (functions.HTTP) or under Knative alike. functions.Typed is not
// for endpoints: it treats the answer as a format string.
//
// An endpoint without this package answers the same: in UTF-8, uncompressed, with a 2xx status. A denial is
// {"allowed":false,"status":{"message":"…"}}; other spellings are failures of the endpoint, and their message says what
// to write.
//
// An endpoint should answer within about a second, change nothing in a Pod that it has already changed,
// and, where [Review.DryRun] is set, leave no trace outside its answer: amp has promised that to
// Kubernetes.
package endpoints
