package callout

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/spelling"
)

// fault says what is wrong with the members of the object: that it is not an answer but something else, or that it has a
// member that is meant as one of the answer's, and would be lost without a word. It is nil if nothing is wrong.
//
// Other members are ignored, so that an endpoint may add what amp does not know, an id of its log for example.
func (o *object) fault(phase review.Phase) error {
	if o.kind == "AdmissionReview" || o.has("response") || o.has("request") && !o.known() {
		return errors.New(`a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`)
	}
	// A Pod's own status would read as an answer's, and the author's change would be lost. A typed Pod that was built
	// anew has no kind.
	if metadata, spec := o.has("metadata"), o.has("spec"); (metadata || spec) && o.kind != "" && o.kind != "Pod" {
		return fmt.Errorf("an object of kind %s; %s", quoted(o.kind), expected(phase))
	} else if o.kind == "Pod" || metadata && spec {
		return errors.New("a Pod; " + expected(phase))
	} else if metadata || spec {
		return errors.New("a part of a Pod; " + expected(phase))
	}
	if o.twice != "" {
		return fmt.Errorf("%q twice; say it once", o.twice)
	}
	if o.has("op") && o.has("path") && !o.known() {
		return errors.New("an operation outside an array; answer [{…}]")
	}
	for _, s := range o.strays {
		if spelling.Fold(s.name) == "statuscode" && o.has("body") && o.allowed == nil {
			return fmt.Errorf(`%s and "body"; answer what is in "body" itself, as the body of the HTTP answer`, quoted(s.name))
		}
	}
	for _, s := range o.strays {
		if err := o.meaning(phase, s); err != nil {
			return err
		}
	}
	switch {
	case !o.known() && o.empty:
		return errors.New("an empty object (as JavaScript encodes a Promise, and Go an error); where nothing is to change, answer " + noChange(phase))
	case !o.known() && o.has("data") && len(o.strays) == 2 && o.strays[0].name == "type" && textIn(o.strays[0].value) == "Buffer":
		return errors.New("a Buffer, as JSON.stringify writes it; answer its bytes")
	case !o.known():
		return errors.New("an object that has none of allowed, status, warnings, patch; " + expected(phase))
	case o.allowed != nil && string(o.allowed) != "true" && string(o.allowed) != "false":
		return fmt.Errorf(`an "allowed" that is %s, not true or false`, kind(o.allowed))
	case !absent(o.patch) && !absent(o.patchType) && !slices.Contains([]string{"JSONPatch", ""}, textOrKind(o.patchType)):
		return errors.New(`a "patchType" that is not JSONPatch; answer a JSON patch (RFC 6902)`)
	}
	return nil
}

// has reports whether the object has a stray member of this name.
func (o *object) has(name string) bool {
	return slices.ContainsFunc(o.strays, func(s stray) bool { return s.name == name })
}

// meaning says what a stray member is meant as; it is nil if that is nothing that amp knows.
func (o *object) meaning(phase review.Phase, s stray) error {
	name := spelling.Fold(s.name)
	inner := readInner(s.value)
	switch {
	case inner.allowed != "" && (o.allowed == nil || inner.denies && !o.denied):
		return fmt.Errorf("%s in %s; answer that object itself", quoted(inner.allowed), quoted(s.name))
	case name == "result" && inner.status: // as the field is named in Go
		return fmt.Errorf(`%s, which amp does not know; write "status"`, quoted(s.name))
	case inner.pod && phase != review.Validate && absent(o.patch) && !o.denied:
		return fmt.Errorf(`a Pod in %s; answer a JSON patch in "patch"`, quoted(s.name))
	case nearest(name, o.known()) != "":
		return fmt.Errorf("%s, which amp does not know; write %q", quoted(s.name), nearest(name, o.known()))
	case o.tellsWhy(name) && !slices.Contains(emptyValues, string(s.value)) && o.allowed != nil:
		return fmt.Errorf(`%s beside "allowed"; put it in status.message`, quoted(s.name))
	case o.tellsWhy(name) && !slices.Contains(emptyValues, string(s.value)):
		return fmt.Errorf(`%s outside "status"; put it in status.message, and add "allowed": true or "allowed": false`, quoted(s.name))
	case name == "code" && len(s.value) == 3 && s.value[0] >= '4' && s.value[0] <= '5':
		return errors.New(`"code" outside "status"; put it in status.code`)
	case o.denied: // what else says no agrees with it
	case slices.Contains(yesNames, name) && slices.Contains(noValues, string(s.value)), slices.Contains(noNames, name) && !slices.Contains(noValues, string(s.value)):
		return fmt.Errorf(`%s, which amp does not read; deny with "allowed": false`, quoted(s.name))
	case (o.allowed == nil || slices.Contains(decisionNames, name)) && slices.Contains(noWords, spelling.Fold(textIn(s.value))):
		return fmt.Errorf(`%s, which amp does not read; deny with "allowed": false`, quoted(s.name))
	case isPatch(s.value):
		return fmt.Errorf(`operations in %s; put them in "patch"`, quoted(s.name))
	}
	return nil
}

// Names that amp does not know, in the form of spelling.Fold, and that say something all the same.
var (
	messageNames  = []string{"message", "messages", "msg", "reason", "error", "errors", "detail", "err", "exception"}
	decisionNames = []string{"decision", "verdict", "action", "result", "outcome", "effect", "answer", "response"}
	yesNames      = []string{"ok", "success", "approve", "approved", "accept", "accepted", "admit", "admitted", "permit", "permitted", "permission", "authorized", "valid", "pass", "passed"}
	noNames       = []string{"deny", "denied", "reject", "rejected", "refuse", "refused", "forbid", "forbidden", "block", "blocked", "invalid", "fail", "failed", "violation", "violations"}
)

// The values that say no, and those that say nothing.
var (
	noWords     = []string{"deny", "denied", "reject", "rejected", "refuse", "refused", "forbid", "forbidden", "disallow", "disallowed", "block", "blocked"}
	emptyValues = []string{"null", `""`, "[]", "{}", "false", "0"}
	noValues    = append([]string{`"false"`, `"no"`}, emptyValues...)
)

// tellsWhy reports whether name, in the form of spelling.Fold, is that of a message to the user: denyReason, for example.
// Beside a yes only the usual names are, beside a patch also those that begin with a word for no.
func (o *object) tellsWhy(name string) bool {
	if slices.Contains(messageNames, name) {
		return true
	}
	speaksOfNo := slices.ContainsFunc(noWords, func(word string) bool { return strings.HasPrefix(name, word) })
	no := o.denied || o.allowed == nil && (o.patch == nil || speaksOfNo)
	return no && (strings.HasSuffix(name, "message") || strings.HasSuffix(name, "reason") || strings.HasSuffix(name, "error"))
}

// perhapsWhy returns the name of the first stray member that is a text; it is empty if there is none.
func (o *object) perhapsWhy() string {
	for _, s := range o.strays {
		if textIn(s.value) != "" {
			return s.name
		}
	}
	return ""
}

// inner is what a value holds that should not be within another one.
type inner struct {
	allowed string // the name of a member that is meant as "allowed", empty if there is none
	denies  bool   // it is false
	status  bool   // a member of a status
	pod     bool
}

func readInner(value []byte) (in inner) {
	if value[0] != '{' {
		return in
	}
	var metadata, spec bool
	for name, member := range members(value) {
		switch folded := spelling.Fold(name); {
		case folded == "allowed" && (member[0] == 't' || member[0] == 'f'):
			in.allowed, in.denies = name, member[0] == 'f'
		case folded == "message", folded == "reason", folded == "code":
			in.status = true
		case name == "kind":
			in.pod = in.pod || textIn(member) == "Pod"
		case name == "metadata":
			metadata = true
		case name == "spec":
			spec = true
		}
	}
	in.pod = in.pod || metadata && spec
	return in
}

// isPatch reports whether a value is an array of operations.
func isPatch(value []byte) bool {
	if value[0] != '[' {
		return false
	}
	for element := range elements(value) {
		if element[0] != '{' {
			return false
		}
		for name := range members(element) {
			if spelling.Fold(name) == "op" {
				return true
			}
		}
		return false
	}
	return false
}

// nearest returns the name of the answer's own that name, in the form of spelling.Fold, is a near miss of: another case, a plural
// or another part of speech, or a slip of the keyboard. It is empty if there is none.
//
// Beside a known name, a near miss makes a failure of what would be an answer. Then nearest is strict: two slips only in
// a long word, and no word that means something else ("state" is not "status").
func nearest(name string, strict bool) string {
	prefixed := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	switch {
	case name == "patchtype":
		return ""
	case prefixed("allow", "isallow", "disallow"):
		return "allowed"
	case prefixed("status"):
		return "status"
	case prefixed("warn"):
		return "warnings"
	case prefixed("patch", "jsonpatch"):
		return "patch"
	case strict && slices.Contains([]string{"match", "batch", "watch"}, name):
		return ""
	}
	for _, word := range []struct {
		name  string
		slips int
	}{{"allowed", 2}, {"status", 1}, {"warnings", 2}, {"patch", 1}} {
		if d := spelling.Distance(name, word.name); d <= word.slips || !strict && d <= 2 {
			return word.name
		}
	}
	return ""
}

// meantInStatus returns the member of a status that name is meant as; it is empty if there is none.
func meantInStatus(name string) string {
	switch name = spelling.Fold(name); {
	case slices.Contains(messageNames, name), spelling.Distance(name, "message") <= 2:
		return "message"
	case name == "code", name == "statuscode":
		return "code"
	}
	return ""
}

// quoted is a name that the endpoint chose, as a message shows it.
func quoted(name string) string {
	return strconv.Quote(review.Clip(name, 40))
}

// textOrKind is the text of a JSON string, else what kind of value it is.
func textOrKind(value []byte) string {
	if value[0] == '"' {
		return textIn(value)
	}
	return kind(value)
}
