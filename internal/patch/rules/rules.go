// Package rules is what a patch may not do, and what amp only warns about because it is probably a mistake.
// START HERE: All is the whole promise. A rule is one function in one file, with its test beside it. It judges a
// change and changes nothing. No rule depends on another one, or on the failure policy of a namespace.
//
// To add a rule, write its file and its test, put it into All (into Changed, unless another list fits better), and
// add a row to TestEachRule in package patch. A rule reads c.Before and c.After, and names an op with c.LastOp.
// introduced.go is for rules about faults that the Pod may have had before the patch, containers.go and fields.go
// for walks through a Pod.
package rules

import (
	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
)

// All are the rules, in the order in which they judge. The first refusal ends the check.
var All = List{
	Values: []apply.ValueRule{
		deepValue,   // no value nests deeper than 100 levels
		repeatedKey, // no object in a value has a key twice
	},
	Always: []Rule{
		tooManyCompleted, // at most 10,000 ops, with those that create missing parents
		denied,           // nothing under AMP_PATCH_DENY is touched
		slowQuantities,   // no quantity takes the API server long to read
	},
	Completions: []Completion{
		derivedValues, // removes what the API server computed from a field that the patch changes
	},
	Changed: []Rule{
		podType,             // the result decodes as a Pod
		identity,            // it is the same Pod: name, namespace, owners, … and what its creator does not set
		reserved,            // the label and the annotation that are not an endpoint's stay
		controllers,         // its controller still recognizes it: labels, the node of a DaemonSet, the claims of a StatefulSet, …
		derivedAlone,        // a field that the API server computes is not set on its own
		serviceAccountAlias, // serviceAccount, the old name, does not contradict serviceAccountName
		requests,            // requests fit their limits
		hostPorts,           // ports on the host's network are the same on both sides
		labelSyntax,         // new labels are well-formed
		annotationKeys,      // so are the keys of new annotations
		volumeNames,         // no two volumes have the same name
		containerNames,      // no two containers have the same name
		mountVolumes,        // each mount has its volume
		mountPaths,          // no container has two mounts at the same path
		envNames,            // new environment variables have well-formed names

		lostEntries,            // warns if an add or replace of an object or list drops keys or named elements that the Pod had
		mainContainer,          // warns if another container comes to stand before the first one
		automountWithoutEffect, // warns if the token is mounted although it is turned off
		unknownFields,          // warns of fields that do not exist in a Pod
	},
}

// A List holds rules by when they judge.
type List struct {
	// Values judge the value of an op before it is applied.
	Values []apply.ValueRule
	// The rules in Always also judge a patch that changes nothing. They run before package apply's Verify, so
	// Change.Invalid and Change.Unknown are not set.
	Always []Rule
	// Completions add ops to a change that does change the Pod, before Changed judge it.
	Completions []Completion
	// Changed judge a change that package apply's Verify returned, and that does change the Pod.
	Changed []Rule
}

// A Rule judges a change. It returns what it finds, nothing if the change is good.
type Rule func(*apply.Change, *Settings) []Finding

// A Completion returns ops that must follow those of a change, and warnings.
type Completion func(*apply.Change) ([]review.Op, []Finding)

// Settings are what the operator of amp decides about the rules. The zero value denies no places.
type Settings struct {
	// Deny are the places that no endpoint may change (AMP_PATCH_DENY).
	Deny Places
	// RefuseUnknown refuses a patch that brings a field which a Pod does not have (amp.txn2.com/unknown-fields). The zero
	// value warns.
	RefuseUnknown bool
}

// A Finding is what a rule finds in a change.
type Finding struct {
	// Severity is Refuse by default.
	Severity Severity
	// Op is the number, from 1, of the op because of which it is found; 0 if it is the patch as a whole.
	Op int
	// Text is one line that names cause and remedy, and no value of the Pod or of the patch.
	Text string
	// Err is what a library said, nil if the rule found the fault itself. Its text may quote values.
	Err error
}

// A Severity says what becomes of a patch with a finding.
type Severity int

// The severities.
const (
	Refuse Severity = iota // the patch fails
	Warn                   // the user gets a warning
)

// refuse returns the only finding of a rule: a refusal because of an op.
func refuse(op int, text string) []Finding { return []Finding{{Op: op, Text: text}} }
