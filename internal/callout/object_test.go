package callout

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

const (
	expectedMutate = `expected a JSON array of patch operations, {"allowed":…} or status 204`
	sayAllowed     = `add "allowed": true or "allowed": false`
	deniedBut      = "amp: the endpoint denied the Pod, and gave no reason that amp can read: "
)

// Every row is the same in both phases.
func TestParseObject(t *testing.T) {
	long := strings.Repeat("ä", 2000)
	for name, tt := range map[string]answerTest{
		// What admits.
		"allowed":                                {body: `{"allowed":true}`},
		"allowed, without error":                 {body: `{"allowed":true,"status":{"message":"fine","reason":"ok","code":200}}`},
		"null where nothing is set":              {body: `{"allowed":true,"status":null,"warnings":null,"patch":null,"message":null,"Patch":null}`},
		"nothing where nothing is set":           {body: `{"allowed":true,"message":"","error":null,"errors":[],"denied":false}`},
		"the members of an AdmissionResponse":    {body: `{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"W10=","auditAnnotations":{"message":"x"},"apiVersion":"v1","kind":"AdmissionResponse"}`},
		"patchType without a patch":              {body: `{"allowed":true,"patchType":"","patch":null}`},
		"members that mean nothing to amp":       {body: `{"allowed":true,"traceId":"x","state":"done","match":"rule 5","cached":false,"dispatch":[1],"code":200}`},
		"a warning is a yes":                     {body: `{"warnings":["w"]}`, want: review.Answer{Warnings: []string{"w"}}},
		"a status that is null beside a warning": {body: `{"status":null,"warnings":["w"]}`, want: review.Answer{Warnings: []string{"w"}}},

		// What denies.
		"denied":                  {body: `{"allowed":false,"status":{"message":"no GPU\r\nfor you","code":403}}`, want: review.Answer{Refused: true, Message: "no GPU for you", Code: 403}},
		"denied without a word":   {body: `{"allowed":false}`, want: review.Answer{Refused: true}},
		"a name with escapes":     {body: `{"\u0061llowed":false}`, want: review.Answer{Refused: true}},
		"denied, with its uid":    {body: `{"uid":"u","allowed":false}`, want: review.Answer{Refused: true}},
		"denied with warnings":    {body: `{"allowed":false,"warnings":["w"]}`, want: review.Answer{Refused: true, Warnings: []string{"w"}}},
		"a long message":          {body: `{"allowed":false,"status":{"message":"` + long + `"}}`, want: review.Answer{Refused: true, Message: strings.Repeat("ä", 1023) + "…"}},
		"a reason":                {body: `{"allowed":false,"status":{"reason":"no GPU"}}`, want: review.Answer{Refused: true, Message: "no GPU"}},
		"a message and a reason":  {body: `{"allowed":false,"status":{"reason":"Forbidden","message":"no GPU"}}`, want: review.Answer{Refused: true, Message: "no GPU"}},
		"an empty message":        {body: `{"allowed":false,"status":{"message":" ","reason":"no GPU"}}`, want: review.Answer{Refused: true, Message: "no GPU"}},
		"a code that is no error": {body: `{"allowed":false,"status":{"code":200}}`, want: review.Answer{Refused: true}},
		"a code beyond all":       {body: `{"allowed":false,"status":{"code":1e30}}`, want: review.Answer{Refused: true}},
		"the last code":           {body: `{"allowed":false,"status":{"code":599}}`, want: review.Answer{Refused: true, Code: 599}},
		"a whole metav1.Status": {body: `{"allowed":false,"status":{"metadata":{},"status":"Failure","message":"no GPU","reason":"Forbidden","details":{"causes":[]},"code":403}}`,
			want: review.Answer{Refused: true, Message: "no GPU", Code: 403}},

		// An absent allowed: a status speaks of a no.
		"a status with a message":      {body: `{"status":{"message":"no GPU","code":403}}`, want: review.Answer{Refused: true, Message: "no GPU", Code: 403}},
		"a status with a reason":       {body: `{"status":{"reason":"no GPU"}}`, want: review.Answer{Refused: true, Message: "no GPU"}},
		"a status with a code":         {body: `{"status":{"code":403}}`, want: review.Answer{Refused: true, Code: 403}},
		"a status with any code":       {body: `{"status":{"code":200}}`, want: review.Answer{Refused: true}},
		"a status beside warnings":     {body: `{"status":{"message":"no"},"warnings":["w"]}`, want: review.Answer{Refused: true, Message: "no", Warnings: []string{"w"}}},
		"a status and a null patch":    {body: `{"status":{"message":"no"},"patch":null}`, want: review.Answer{Refused: true, Message: "no"}},
		"a status and a patch":         {body: `{"status":{"message":"no"},"patch":[` + add + `]}`, cause: `answered 200 with a "status" and a "patch", but no "allowed"; ` + sayAllowed},
		"a status and an empty patch":  {body: `{"status":{"message":"no"},"patch":[]}`, cause: `answered 200 with a "status" and a "patch", but no "allowed"; ` + sayAllowed},
		"an empty status and a patch":  {body: `{"status":{},"patch":[` + add + `]}`, cause: `answered 200 with a "status" and a "patch", but no "allowed"; ` + sayAllowed},
		"an empty status":              {body: `{"status":{}}`, cause: `answered 200 with a "status" that has no message, and no "allowed"; ` + sayAllowed},
		"an empty status and warnings": {body: `{"status":{},"warnings":["w"]}`, cause: `answered 200 with a "status" that has no message, and no "allowed"; ` + sayAllowed},
		"a status of something else":   {body: `{"status":{"ready":true}}`, cause: `answered 200 with a "status" that has no message, and no "allowed"; ` + sayAllowed},
		"a status that holds nothing":  {body: `{"status":{"message":"","reason":null,"code":0}}`, cause: `answered 200 with a "status" that has no message, and no "allowed"; ` + sayAllowed},
		"a status in Go":               {body: `{"status":{"Message":"no"}}`, cause: `answered 200 with "Message" in "status"; write "message"; and ` + sayAllowed},
		"a status that is a word":      {body: `{"status":"denied"}`, cause: `answered 200 with a "status" that is a string, not an object with message and code`},
		"a status that is a number":    {body: `{"status":403}`, cause: `answered 200 with a "status" that is a number, not an object with message and code`},

		// Yes and no.
		"allowed beside an error code":    {body: `{"allowed":true,"status":{"message":"no","code":403}}`, cause: `answered 200 with "allowed": true beside a "status" of an error; deny with "allowed": false, or leave the status out`},
		"allowed beside a failure":        {body: `{"allowed":true,"status":{"status":"Failure"}}`, cause: `answered 200 with "allowed": true beside a "status" of an error; deny with "allowed": false, or leave the status out`},
		"allowed beside a no":             {body: `{"allowed":true,"ok":false}`, cause: `answered 200 with "ok", which amp does not read; deny with "allowed": false`},
		"allowed beside OPA's deny":       {body: `{"allowed":true,"deny":["no"]}`, cause: `answered 200 with "deny", which amp does not read; deny with "allowed": false`},
		"allowed twice":                   {body: `{"allowed":true,"allowed":true}`, cause: `answered 200 with "allowed" twice; say it once`},
		"a patch twice":                   {body: `{"patch":[],"patch":[]}`, cause: `answered 200 with "patch" twice; say it once`},
		"first denied, then allowed":      {body: `{"allowed":false,"allowed":true}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "allowed" twice; say it once`}},
		"first allowed, then denied":      {body: `{"allowed":true,"allowed":false}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "allowed" twice; say it once`}},
		"a patch that is no JSON patch":   {body: `{"allowed":true,"patchType":"MergePatch","patch":[]}`, cause: `answered 200 with a "patchType" that is not JSONPatch; answer a JSON patch (RFC 6902)`},
		"a patchType that is no string":   {body: `{"allowed":true,"patchType":1,"patch":[]}`, cause: `answered 200 with a "patchType" that is not JSONPatch; answer a JSON patch (RFC 6902)`},
		"a patch type beside a denial":    {body: `{"allowed":false,"patchType":"JSONPatch","patch":[]}`, want: review.Answer{Refused: true}},
		"allowed that is a string":        {body: `{"allowed":"false"}`, cause: `answered 200 with an "allowed" that is a string, not true or false`},
		"allowed that is null":            {body: `{"allowed":null}`, cause: `answered 200 with an "allowed" that is null, not true or false`},
		"allowed that is a number":        {body: `{"allowed":0}`, cause: `answered 200 with an "allowed" that is a number, not true or false`},
		"allowed that is a list":          {body: `{"allowed":[]}`, cause: `answered 200 with an "allowed" that is an array, not true or false`},
		"allowed null beside a message":   {body: `{"allowed":null,"status":{"message":"no"}}`, cause: `answered 200 with an "allowed" that is null, not true or false`},
		"warnings that are a string":      {body: `{"warnings":"w"}`, cause: `answered 200 with "warnings" that are a string, not an array of strings`},
		"a warning that is an object":     {body: `{"warnings":["w",{}]}`, cause: `answered 200 with "warnings" of which number 2 is an object, not a string`},
		"allowed, with a bad status":      {body: `{"allowed":true,"status":"ok"}`, cause: `answered 200 with a "status" that is a string, not an object with message and code`},
		"a message beside allowed":        {body: `{"allowed":true,"message":"fine"}`, cause: `answered 200 with "message" beside "allowed"; put it in status.message`},
		"a message alone":                 {body: `{"message":"hello"}`, cause: `answered 200 with "message" outside "status"; put it in status.message, and ` + sayAllowed},
		"an error with status 200":        {body: `{"error":"boom"}`, cause: `answered 200 with "error" outside "status"; put it in status.message, and ` + sayAllowed},
		"a message beside warnings":       {body: `{"warnings":["w"],"message":"no"}`, cause: `answered 200 with "message" outside "status"; put it in status.message, and ` + sayAllowed},
		"a metav1.Status as the answer":   {body: `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","code":403}`, cause: `answered 200 with "message" outside "status"; put it in status.message, and ` + sayAllowed},
		"denied in another word":          {body: `{"denied":true}`, cause: `answered 200 with "denied", which amp does not read; deny with "allowed": false`},
		"denied in words, with a warning": {body: `{"warnings":["w"],"approved":false}`, cause: `answered 200 with "approved", which amp does not read; deny with "allowed": false`},

		"a decision beside warnings":      {body: `{"warnings":[],"decision":"Deny"}`, cause: `answered 200 with "decision", which amp does not read; deny with "allowed": false`},
		"any name that says no":           {body: `{"patch":[],"admission":"DENIED"}`, cause: `answered 200 with "admission", which amp does not read; deny with "allowed": false`},
		"a decision alone":                {body: `{"verdict":"reject"}`, cause: `answered 200 with "verdict", which amp does not read; deny with "allowed": false`},
		"a decision against allowed":      {body: `{"allowed":true,"result":"deny"}`, cause: `answered 200 with "result", which amp does not read; deny with "allowed": false`},
		"an exception beside a patch":     {body: `{"patch":[],"exception":"boom"}`, cause: `answered 200 with "exception" outside "status"; put it in status.message, and ` + sayAllowed},
		"a reason to deny beside a patch": {body: `{"patch":[],"denyReason":"no GPU"}`, cause: `answered 200 with "denyReason" outside "status"; put it in status.message, and ` + sayAllowed},
		"another reason beside a patch":   {body: `{"patch":[],"logMessage":"added a label"}`},
		"a permission that is not given":  {body: `{"warnings":[],"permission":false}`, cause: `answered 200 with "permission", which amp does not read; deny with "allowed": false`},
		"an answer in an object":          {body: `{"result":{"allowed":false}}`, cause: `answered 200 with "allowed" in "result"; answer that object itself`},
		"an answer in an object, in Go":   {body: `{"Response":{"Allowed":false},"warnings":[]}`, cause: `answered 200 with "Allowed" in "Response"; answer that object itself`},
		"a Lambda's answer":               {body: `{"statusCode":200,"body":"{\"allowed\":false}"}`, cause: `answered 200 with "statusCode" and "body"; answer what is in "body" itself, as the body of the HTTP answer`},
		"a status under its name in Go":   {body: `{"uid":"u","warnings":[],"result":{"message":"no","code":403}}`, cause: `answered 200 with "result", which amp does not know; write "status"`},
		"what says no where allowed":      {body: `{"allowed":true,"policy":"deny","action":"audit","data":{"allowed_users":[]},"result":"ok"}`},

		// A denial stands, whatever else is wrong.
		"denied, the reason in a word of its own": {body: `{"allowed":false,"explanation":"no GPU"}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "explanation" beside "allowed"; if it is the reason, put it in status.message`}},
		"denied, beside a name of a reason":       {body: `{"allowed":false,"denyReason":"no GPU","traceId":"x"}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "denyReason" beside "allowed"; put it in status.message`}},
		"denied twice":                            {body: `{"allowed":false,"denied":true,"ok":false,"status":{"message":"no"}}`, want: review.Answer{Refused: true, Message: "no"}},
		"denied, with a trace":                    {body: `{"allowed":false,"status":{"message":"no"},"traceId":"x"}`, want: review.Answer{Refused: true, Message: "no"}},
		"denied, the status under another name":   {body: `{"allowed":false,"result":{"message":"no GPU"}}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "result", which amp does not know; write "status"`}},
		"denied, the message beside it":           {body: `{"allowed":false,"message":"no GPU"}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "message" beside "allowed"; put it in status.message`}},
		"denied, the reason beside it":            {body: `{"allowed":false,"reason":"no GPU"}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "reason" beside "allowed"; put it in status.message`}},
		"denied, the code beside it":              {body: `{"allowed":false,"code":403}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "code" outside "status"; put it in status.code`}},
		"denied, the status a string":             {body: `{"allowed":false,"status":"no"}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with a "status" that is a string, not an object with message and code`}},
		"denied, the message a list":              {body: `{"allowed":false,"status":{"message":["no"]}}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with a "status.message" that is an array, not a string`}},
		"denied, the message in Go":               {body: `{"allowed":false,"status":{"Message":"no"}}`, want: review.Answer{Refused: true, Message: deniedBut + `it answered 200 with "Message" in "status"; write "message"`}},
		"denied, the code a string":               {body: `{"allowed":false,"status":{"message":"no","code":"403"}}`, want: review.Answer{Refused: true, Message: `no (amp: it answered 200 with a "status.code" that is a string, not an HTTP status)`}},
		"denied, the warnings a string":           {body: `{"status":{"message":"no"},"warnings":"w"}`, want: review.Answer{Refused: true, Message: `no (amp: it answered 200 with "warnings" that are a string, not an array of strings)`}},
		"denied, with an unknown op":              {body: `{"allowed":false,"patch":[{"op":"mv","path":"/x"}]}`, want: review.Answer{Refused: true, Message: deniedBut + `op 1 ("mv" "/x"): unknown op; RFC 6902 knows add, remove, replace, move, copy, test, in lower case`}},
		"denied at length, and more": {body: `{"allowed":false,"status":{"message":"` + long + `","code":"403"}}`, want: review.Answer{Refused: true,
			Message: strings.Repeat("ä", 942) + `… (amp: it answered 200 with a "status.code" that is a string, not an HTTP status)`}},

		// Near misses of the names.
		"allowed in Go":             {body: `{"Allowed":false}`, cause: `answered 200 with "Allowed", which amp does not know; write "allowed"`},
		"allow":                     {body: `{"allow":false}`, cause: `answered 200 with "allow", which amp does not know; write "allowed"`},
		"allow beside warnings":     {body: `{"warnings":["w"],"allow":false}`, cause: `answered 200 with "allow", which amp does not know; write "allowed"`},
		"allowed in Java":           {body: `{"patch":[],"isAllowed":false}`, cause: `answered 200 with "isAllowed", which amp does not know; write "allowed"`},
		"two slips":                 {body: `{"patch":[],"alowd":false}`, cause: `answered 200 with "alowd", which amp does not know; write "allowed"`},
		"a warning":                 {body: `{"allowed":true,"warning":["w"]}`, cause: `answered 200 with "warning", which amp does not know; write "warnings"`},
		"only a warning":            {body: `{"warning":"w"}`, cause: `answered 200 with "warning", which amp does not know; write "warnings"`},
		"patches":                   {body: `{"allowed":true,"patches":[]}`, cause: `answered 200 with "patches", which amp does not know; write "patch"`},
		"patchs":                    {body: `{"patchs":[]}`, cause: `answered 200 with "patchs", which amp does not know; write "patch"`},
		"letters exchanged":         {body: `{"allowed":true,"pathc":[` + add + `]}`, cause: `answered 200 with "pathc", which amp does not know; write "patch"`},
		"a patch in Go":             {body: `{"allowed":true,"Patch":[` + add + `]}`, cause: `answered 200 with "Patch", which amp does not know; write "patch"`},
		"a patch in Python":         {body: `{"allowed":true,"json_patch":[` + add + `]}`, cause: `answered 200 with "json_patch", which amp does not know; write "patch"`},
		"a patch in another word":   {body: `{"allowed":true,"changes":[` + add + `]}`, cause: `answered 200 with operations in "changes"; put them in "patch"`},
		"statuses":                  {body: `{"allowed":true,"statuses":{}}`, cause: `answered 200 with "statuses", which amp does not know; write "status"`},
		"a status message":          {body: `{"allowed":true,"status_message":"no"}`, cause: `answered 200 with "status_message", which amp does not know; write "status"`},
		"what alone is near enough": {body: `{"state":{"message":"no"}}`, cause: `answered 200 with "state", which amp does not know; write "status"`},
		"a name of any length":      {body: `{"allowed-` + long + `":true}`, cause: `answered 200 with "allowed-` + strings.Repeat("ä", 31) + `…", which amp does not know; write "allowed"`},
		"a name that is not one":    {body: `{"\u0000allow\n":true}`, cause: `answered 200 with "\x00allow\n", which amp does not know; write "allowed"`},
		"a name with a space":       {body: `{"allowed ":false,"warnings":[]}`, cause: `answered 200 with "allowed ", which amp does not know; write "allowed"`},

		// Something else.
		"a whole AdmissionReview":             {body: `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true}}`, cause: `answered 200 with a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`},
		"an AdmissionReview without its type": {body: `{"response":{"allowed":false}}`, cause: `answered 200 with a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`},
		"a review and an answer":              {body: `{"allowed":true,"response":{"allowed":false}}`, cause: `answered 200 with a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`},
		"the review sent back":                {body: `{"request":{"uid":"u"}}`, cause: `answered 200 with a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.run(t, review.Mutate)
			tt.run(t, review.Validate)
		})
	}
	for name, tt := range map[string]answerTest{
		"an empty object":             {body: `{ }`, cause: `answered 200 with an empty object (as JavaScript encodes a Promise, and Go an error); where nothing is to change, answer [], null or status 204`},
		"an object that says nothing": {body: `{"x":1}`, cause: `answered 200 with an object that has none of allowed, status, warnings, patch; ` + expectedMutate},
		"an object of something else": {body: `{"uid":"u","kind":"X"}`, cause: `answered 200 with an object that has none of allowed, status, warnings, patch; ` + expectedMutate},
		"the Pod, changed":            {body: `{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{},"status":{}}`, cause: `answered 200 with a Pod; ` + expectedMutate},
		"the Pod without its kind":    {body: `{"metadata":{"name":"worker"},"spec":{},"status":{}}`, cause: `answered 200 with a Pod; ` + expectedMutate},
		"the Pod without a status":    {body: `{"metadata":{"name":"worker"},"spec":{}}`, cause: `answered 200 with a Pod; ` + expectedMutate},
		"a Pod that failed":           {body: `{"metadata":{},"spec":{},"status":{"phase":"Failed","reason":"Evicted","message":"x"}}`, cause: `answered 200 with a Pod; ` + expectedMutate},
		"a merge patch":               {body: `{"metadata":{"labels":{"a":"b"}}}`, cause: `answered 200 with a part of a Pod; ` + expectedMutate},
		"a merge patch that allows":   {body: `{"allowed":true,"spec":{"priority":1}}`, cause: `answered 200 with a part of a Pod; ` + expectedMutate},
		"one operation":               {body: add, cause: `answered 200 with an operation outside an array; answer [{…}]`},
	} {
		t.Run(name, func(t *testing.T) { tt.run(t, review.Mutate) })
	}
}

// holdMembers holds members and elements against encoding/json.
func holdMembers(t *testing.T, text []byte) {
	t.Helper()
	text = []byte(strings.Trim(string(text), jsonSpace))
	if !json.Valid(text) {
		return
	}
	switch text[0] {
	case '{':
		got := map[string]json.RawMessage{}
		for name, value := range members(text) {
			got[name] = value
		}
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		// A name that is not UTF-8 cannot come so far, and encoding/json takes its bytes for one character.
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	case '[':
		want := []json.RawMessage{}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		got := []json.RawMessage{}
		for _, value := range slices.Collect(elements(text)) {
			got = append(got, value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("elements (-want +got):\n%s", diff)
		}
	}
}
