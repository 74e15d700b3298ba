package conform

import "github.com/txn2/amp/internal/review"

// The rules, by their names in the report.
const (
	ruleAnswer   = "answer"
	ruleTime     = "time"
	rulePatch    = "patch"
	ruleFields   = "fields"
	ruleWarnings = "warnings"
	ruleMembers  = "members"
	ruleType     = "content-type"
	ruleTexts    = "texts"
	ruleRepeat   = "repeatable"
	ruleDryRun   = "dry-run"
	ruleTwice    = "idempotent"
	ruleParallel = "parallel"
	ruleWrong    = "wrong-requests"
)

// rules are all rules in the order of the report, with what each one asks for.
var rules = []struct{ name, asks string }{
	{ruleAnswer, "amp can read each answer"},
	{ruleTime, "each answer comes within the budget"},
	{rulePatch, "each patch applies, and the API server takes the Pod that it makes"},
	{ruleFields, "a patch brings only fields that a Pod has"},
	{ruleWarnings, "amp has nothing to warn of"},
	{ruleMembers, "an answer holds nothing that amp does not read"},
	{ruleType, "an answer says that it is JSON"},
	{ruleTexts, "a denial says why, and warnings are few and short"},
	{ruleRepeat, "the same request gets the same answer"},
	{ruleDryRun, "a dry run gets the answer of a real review"},
	{ruleTwice, "a Pod that it has patched needs no second patch"},
	{ruleParallel, "requests at once get the answers that each gets alone"},
	{ruleWrong, "a request that is no review gets an error answer, and harms nothing"},
}

// Rules returns the names of all rules, in the order of the report.
func Rules() []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}

// What to do about a finding. Where amp's own message already says what to write, these say why.
const (
	fixLate     = "answer in time: ask slow services before, or with a shorter timeout of your own, and answer without them; amp.txn2.com/timeout cannot raise the budget above AMP_TIMEOUT"
	fixSlow     = "aim at a tenth of the budget: all endpoints of a namespace share it, and clients of the API server may give up after 3 s"
	fixPatch    = "change the operation as the message says; the API server, or amp before it, rejects the Pod otherwise"
	fixFields   = "write the field's name as the Kubernetes API has it; the API server drops an unknown field without a word"
	fixWarnings = "change the operation so that the Pod keeps what it had: add single keys, and elements at the end of a list"
	fixDenial   = `answer {"allowed":false,"status":{"message":"…"}}`
	fixType     = "send Content-Type: application/json"
	fixRepeat   = "decide by the request only: no counters, no random values, no time of the day"
	fixDryRun   = "answer a dry run as a real review, and leave out only the side effects; a user tries with a dry run what will happen"
	fixTwice    = "look whether the Pod has the change before you make it: add an element only if none has its name, and compute values from what does not change. The API server may ask again after another webhook"
	fixParallel = "keep nothing between requests in variables that they share; amp sends many requests at once"
	fixStatus   = `answer with a 2xx status: 200 with a patch, or 204 for no change; to deny a Pod, answer {"allowed":false,"status":{"message":"…"}} with status 200`
	fixInvalid  = `answer a JSON array of operations, an object with allowed, status, warnings or patch, or status 204`
	fixBroken   = "the endpoint's own log says why it closed the connection; catch the error there, and answer status 500 with one line of text"
	fixCrash    = "catch what the request makes your handler throw, and answer 4xx with one line of text; amp never sends such a request, but others will"
)

// fixOf says what to do about a call that failed.
func fixOf(e *exchange) string {
	switch e.result() {
	case review.ResultStatus:
		return fixStatus
	case review.ResultUnreachable:
		return fixBroken
	}
	return fixInvalid
}
