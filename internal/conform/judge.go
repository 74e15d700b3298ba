package conform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// shape asks about one shape: twice, as a dry run, and with the Pod that the first answer made. It returns the first
// exchange, nil if ctx ended before.
func (r *run) shape(ctx context.Context, s *shapes.Shape) *exchange {
	first := r.ask(ctx, s.Name, s.Review, s.Review.Pod)
	if ctx.Err() != nil {
		return nil
	}
	r.firsts = append(r.firsts, first)
	r.judge(first)
	if first.err != nil {
		return first // what cannot be read cannot be compared
	}
	r.repeat(ctx, s, first)
	if !r.config.OnlyDryRuns {
		r.dryRun(ctx, s, first)
	}
	if r.config.Phase == review.Mutate && first.patchErr == nil && len(first.checked.Ops) > 0 {
		r.twice(ctx, s, first)
	}
	return first
}

// judge judges one exchange by itself.
func (r *run) judge(e *exchange) {
	r.took = append(r.took, e.took)
	r.tried[ruleAnswer], r.tried[ruleTime] = true, true
	sent := "the Pod"
	switch {
	case e.result() == review.ResultLate:
		r.find(ruleTime, Error, e, sent, e.err.Error(), fixLate)
		return
	case e.err != nil:
		r.find(ruleAnswer, Error, e, sent, e.err.Error(), fixOf(e))
		return
	case e.took > r.config.Budget/2:
		r.find(ruleTime, Advice, e, sent, fmt.Sprintf("the answer took more than half of the budget (%s of %s)", e.took.Round(time.Millisecond), r.config.Budget), fixSlow)
	}
	r.judgeText(e)
	r.judgeMembers(e)
	if len(e.answer.Ops) == 0 {
		return
	}
	r.tried[rulePatch], r.tried[ruleFields], r.tried[ruleWarnings] = true, true, true
	if e.patchErr != nil {
		r.find(rulePatch, Error, e, sent, e.patchErr.Error(), fixPatch)
		return
	}
	if _, err := r.checker.Strict().Check(context.Background(), e.review.Namespace, e.review.Pod, e.answer.Ops); err != nil {
		r.find(ruleFields, Error, e, sent, err.Error(), fixFields)
		return
	}
	for _, w := range e.checked.Warnings {
		r.find(ruleWarnings, Advice, e, sent, w, fixWarnings)
	}
}

// judgeText judges the texts that are for the Pod's creator.
func (r *run) judgeText(e *exchange) {
	r.tried[ruleTexts] = true
	message := e.answer.Message
	switch {
	case !e.answer.Refused:
	case fromAmp(message, e.raw.body):
		r.find(ruleAnswer, Error, e, "the Pod", "a denial whose message became: "+message, fixDenial)
	case message == "":
		r.find(ruleTexts, Advice, e, "the Pod", "a denial without a reason", `write the reason, and what to do, in status.message: {"allowed":false,"status":{"message":"…"}}`)
	}
	if e.answer.MoreWarnings > 0 {
		r.find(ruleTexts, Advice, e, "the Pod", fmt.Sprintf("%d warnings; amp shows %d and counts the rest", len(e.answer.Warnings)+e.answer.MoreWarnings, review.MaxWarnings), "warn of what matters most, in few warnings")
	}
	for _, w := range e.answer.Warnings {
		if utf8.RuneCountInString(w) == review.MaxWarning && strings.HasSuffix(w, "…") {
			r.find(ruleTexts, Advice, e, "the Pod", fmt.Sprintf("a warning of more than %d characters, which amp cuts", review.MaxWarning), "write shorter warnings: the cause first")
		}
	}
}

// fromAmp reports whether amp has added to the message of a denial: it keeps a denial in which something is wrong, and says in
// its message what is. The endpoint's own text may look like that too.
func fromAmp(message string, body []byte) bool {
	var answer struct {
		Status struct{ Message, Reason string }
	}
	_ = json.Unmarshal(withoutBOM(body), &answer) // as much as can be read
	own := review.Line(answer.Status.Message + " " + answer.Status.Reason)
	added := func(words string) bool { return strings.Count(message, words) > strings.Count(own, words) }
	return added("amp: the endpoint denied") || added(" (amp: ")
}

// withoutBOM takes off the mark of UTF-8 that some encoders write.
func withoutBOM(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// judgeMembers judges what amp passes over without a word.
func (r *run) judgeMembers(e *exchange) {
	if len(e.raw.body) == 0 {
		return
	}
	r.tried[ruleMembers], r.tried[ruleType] = true, true
	for _, unknown := range unknownMembers(e.raw.body) {
		r.find(ruleMembers, Error, e, "the Pod", unknown+", which amp does not read", "take it out, or write the name that amp reads: op, path, from and value in an operation; allowed, status, warnings and patch in an object")
	}
	given := e.raw.header.Get("Content-Type")
	media, _, _ := mime.ParseMediaType(given)
	switch {
	case media == "application/json", strings.HasSuffix(media, "+json"):
	case given == "":
		r.find(ruleType, Advice, e, "the Pod", "an answer without a Content-Type", fixType)
	default:
		r.find(ruleType, Advice, e, "the Pod", "an answer with Content-Type "+review.Clip(given, 60), fixType)
	}
}

// repeat asks the same again.
func (r *run) repeat(ctx context.Context, s *shapes.Shape, first *exchange) {
	again := r.askFor(ctx, ruleRepeat, s.Name, s.Review, s.Review.Pod)
	if again != nil && !again.same(first) {
		r.find(ruleRepeat, Error, first, "the same request twice", "first "+first.says()+"; then "+again.says()+differs(first, again), fixRepeat)
	}
}

// dryRun asks the same as a dry run, or as none if it was one.
func (r *run) dryRun(ctx context.Context, s *shapes.Shape, first *exchange) {
	other := *s.Review
	other.DryRun = !other.DryRun
	e := r.askFor(ctx, ruleDryRun, s.Name, &other, s.Review.Pod)
	if e == nil || e.same(first) {
		return
	}
	// An endpoint that answers the same request differently each time breaks another rule.
	if once := r.ask(ctx, s.Name, s.Review, s.Review.Pod); ctx.Err() != nil || !once.same(first) {
		return
	}
	dry, real := first, e
	if other.DryRun {
		dry, real = e, first
	}
	r.find(ruleDryRun, Error, first, "the Pod with ce-dryrun: true, and with ce-dryrun: false", "as a dry run "+dry.says()+"; as a real review "+real.says()+differs(dry, real), fixDryRun)
}

// twice asks about the Pod that the first answer made: the API server may ask again when another webhook changed the Pod,
// and a patched Pod may be copied.
func (r *run) twice(ctx context.Context, s *shapes.Shape, first *exchange) {
	again := *s.Review
	again.UID += "-again"
	e := r.askFor(ctx, ruleTwice, s.Name, &again, first.checked.Pod)
	const sent = "the Pod that its own patch made"
	switch {
	case e == nil:
	case e.err != nil:
		r.find(ruleTwice, Error, first, sent, e.says(), fixTwice)
	case e.answer.Refused:
		r.find(ruleTwice, Error, first, sent, e.says(), "let a Pod pass that already has what you add")
	case e.patchErr != nil:
		r.find(ruleTwice, Error, first, sent, e.patchErr.Error(), fixTwice)
	case len(e.checked.Ops) > 0:
		r.find(ruleTwice, Error, first, sent, e.says(), fixTwice)
	}
}

// parallelism is how many requests are in flight at once. A deployment that starts a hundred Pods sends as many.
const parallelism = 16

// parallel asks about all shapes at once, and expects the answers that each had alone.
func (r *run) parallel(ctx context.Context) {
	exchanges := make([]*exchange, len(r.firsts))
	places := make(chan struct{}, parallelism)
	var wait sync.WaitGroup
	for i, first := range r.firsts {
		if first.err != nil {
			continue
		}
		wait.Add(1)
		places <- struct{}{}
		go func() {
			defer wait.Done()
			exchanges[i] = r.ask(ctx, first.shape, first.review, first.review.Pod)
			<-places
		}()
	}
	wait.Wait()
	if ctx.Err() != nil {
		return
	}
	r.tried[ruleParallel] = true
	for i, e := range exchanges {
		if e == nil || e.same(r.firsts[i]) || r.found(ruleRepeat, e.shape) {
			continue
		}
		r.find(ruleParallel, Error, e, fmt.Sprintf("%d requests at once", parallelism), "alone "+r.firsts[i].says()+"; among others "+e.says()+differs(r.firsts[i], e), fixParallel)
	}
}

// differs names the first operation in which two patches of the same form differ: [exchange.says] does not show it.
func differs(a, b *exchange) string {
	if a.says() != b.says() || len(a.answer.Ops) != len(b.answer.Ops) {
		return ""
	}
	for i := range a.answer.Ops {
		if x, y := a.answer.Ops[i], b.answer.Ops[i]; !sameOp(x, y) {
			return fmt.Sprintf(" (op %d differs: %s, then %s)", i+1, inShort(x), inShort(y))
		}
	}
	return ""
}

func inShort(op review.Op) string {
	return review.Clip(op.Op+" "+op.Path+" "+string(compact(op.Value)), 80)
}

// Members that an answer may have: those that amp reads, and those that an AdmissionResponse and a Status have in the API.
var (
	opMembers     = []string{"op", "path", "from", "value"}
	answerMembers = []string{"allowed", "status", "warnings", "patch", "patchType", "uid", "auditAnnotations", "apiVersion", "kind"}
	statusMembers = []string{"message", "reason", "code", "status", "details", "metadata", "apiVersion", "kind"}
)

// unknownMembers names the members of an answer that amp passes over. It returns each one once.
func unknownMembers(body []byte) []string {
	var unknown []string
	seen := map[string]bool{}
	look := func(value json.RawMessage, where string, known []string) map[string]json.RawMessage {
		var members map[string]json.RawMessage
		if json.Unmarshal(value, &members) != nil {
			return nil // amp has said what is wrong with it
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			if what := fmt.Sprintf("%q in %s", review.Clip(name, 40), where); !slices.Contains(known, name) && !seen[what] {
				seen[what] = true
				unknown = append(unknown, what)
			}
		}
		return members
	}
	ops := func(value json.RawMessage) bool {
		var all []json.RawMessage
		if json.Unmarshal(withoutBOM(value), &all) != nil {
			return false
		}
		for _, op := range all {
			look(op, "an operation", opMembers)
		}
		return true
	}
	if !ops(body) {
		answer := look(withoutBOM(body), "the answer", answerMembers)
		var decoded []byte // of base64, as a patch may be
		if json.Unmarshal(answer["patch"], &decoded) != nil {
			decoded = answer["patch"]
		}
		ops(decoded)
		look(answer["status"], "the status", statusMembers)
	}
	return unknown
}
