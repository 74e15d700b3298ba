// Package review holds the values that every step of amp shares: a [Review] as amp received it, the [Policy] of its
// namespace, the [Plan], [Run], [Verdict] and [Record] of it. It also reads and writes AdmissionReviews, and it decides:
// [Decide] is the truth table. It does no I/O and reads no clock.
//
// The steps (namespaces, callout, patch, emit) import this package and never each other. Only internal/proxy knows their
// order.
package review
