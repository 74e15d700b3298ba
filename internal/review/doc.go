// Package review holds what every step of amp shares: a Review as it came in, the Policy of its
// namespace, what the endpoints did (Step, Run), the Verdict and the Record of it all; the reading and
// writing of AdmissionReviews; and [Decide], the truth table. It does no I/O and reads no clock.
//
// The steps (namespaces, callout, patch, emit) import this package and never each other; only
// internal/proxy knows their order.
package review
