package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

// copied is a Pod that is a copy of a stamped one, and has the label of a Pod that does not opt out.
var copied = strings.NewReplacer(`"annotations":{`, `"annotations":{"amp.txn2.com/event":"u-1",`, `"labels":{`, `"labels":{"amp.txn2.com/enabled":"true",`).Replace(patchtest.Rich)

func TestReserved(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a stamp that the Pod did not have":    {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/amp.txn2.com~1event","value":"x"}]`, `op 1 (add "/metadata/annotations/amp.txn2.com~1event"): a patch may not change the annotation amp.txn2.com/event, which is amp's: leave it as it is`},
		"one within all annotations":           {patchtest.Rich, `[{"op":"replace","path":"/metadata/annotations","value":{"a/b":"1","c~d":"2","amp.txn2.com/event":"x"}}]`, `op 1 (replace "/metadata/annotations"): a patch may not change the annotation amp.txn2.com/event, which is amp's: leave it as it is`},
		"another stamp":                        {copied, `[{"op":"replace","path":"/metadata/annotations/amp.txn2.com~1event","value":"x"}]`, `op 1 (replace "/metadata/annotations/amp.txn2.com~1event"): a patch may not change the annotation amp.txn2.com/event, which is amp's: leave it as it is`},
		"another one within all annotations":   {copied, `[{"op":"add","path":"/metadata/annotations","value":{"amp.txn2.com/event":"x"}}]`, `op 1 (add "/metadata/annotations"): a patch may not change the annotation amp.txn2.com/event, which is amp's: leave it as it is`},
		"no stamp":                             {copied, `[{"op":"remove","path":"/metadata/annotations/amp.txn2.com~1event"}]`, `op 1 (remove "/metadata/annotations/amp.txn2.com~1event"): a patch may not change the annotation amp.txn2.com/event, which is amp's: leave it as it is`},
		"the stamp elsewhere":                  {copied, `[{"op":"move","from":"/metadata/annotations/amp.txn2.com~1event","path":"/metadata/annotations/was"}]`, `op 1 (move "/metadata/annotations/was" from "/metadata/annotations/amp.txn2.com~1event"): a patch may not change the annotation amp.txn2.com/event, which is amp's: leave it as it is`},
		"the label that opts out":              {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/amp.txn2.com~1enabled","value":"false"}]`, `op 1 (add "/metadata/labels/amp.txn2.com~1enabled"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, changed":                  {copied, `[{"op":"replace","path":"/metadata/labels/amp.txn2.com~1enabled","value":"false"}]`, `op 1 (replace "/metadata/labels/amp.txn2.com~1enabled"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, removed":                  {copied, `[{"op":"remove","path":"/metadata/labels/amp.txn2.com~1enabled"}]`, `op 1 (remove "/metadata/labels/amp.txn2.com~1enabled"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, whatever its value":       {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/amp.txn2.com~1enabled","value":"FALSE"}]`, `op 1 (add "/metadata/labels/amp.txn2.com~1enabled"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, as a null":                {patchtest.Rich, `[{"op":"replace","path":"/metadata/labels","value":{"app":"w","amp.txn2.com/enabled":null}}]`, `op 1 (replace "/metadata/labels"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"a stamp that is a null":               {copied, `[{"op":"add","path":"/metadata/annotations","value":{"amp.txn2.com/event":null}}]`, `op 1 (add "/metadata/annotations"): a patch may not change the annotation amp.txn2.com/event, which is amp's: leave it as it is`},
		"that label, within all labels":        {patchtest.Rich, `[{"op":"replace","path":"/metadata/labels","value":{"app":"w","amp.txn2.com\u002fenabled":"false"}}]`, `op 1 (replace "/metadata/labels"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, where there are none":     {patchtest.Bare, `[{"op":"add","path":"/metadata/labels","value":{"amp.txn2.com/enabled":"false"}}]`, `op 1 (add "/metadata/labels"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, within all metadata":      {patchtest.Rich, `[{"op":"replace","path":"/metadata","value":{"name":"w","namespace":"ns","labels":{"app":"w","amp.txn2.com/enabled":"false"},"annotations":{"a/b":"1","c~d":"2"}}}]`, `op 1 (replace "/metadata"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, moved there":              {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/x","value":"false"},{"op":"move","from":"/metadata/annotations/x","path":"/metadata/labels/amp.txn2.com~1enabled"}]`, `op 2 (move "/metadata/labels/amp.txn2.com~1enabled" from "/metadata/annotations/x"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, copied there":             {patchtest.Rich, `[{"op":"copy","from":"/metadata/labels/app","path":"/metadata/labels/amp.txn2.com~1enabled"}]`, `op 1 (copy "/metadata/labels/amp.txn2.com~1enabled" from "/metadata/labels/app"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, copied with annotations":  {strings.Replace(patchtest.Rich, `"annotations":{`, `"annotations":{"amp.txn2.com/enabled":"false",`, 1), `[{"op":"copy","from":"/metadata/annotations","path":"/metadata/labels"}]`, `op 1 (copy "/metadata/labels" from "/metadata/annotations"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
		"that label, lost with all the others": {copied, `[{"op":"add","path":"/metadata/labels","value":{"app":"w"}}]`, `op 1 (add "/metadata/labels"): a patch may not change the label amp.txn2.com/enabled, by which a Pod opts out of amp: leave it as it is`},
	})
}

func TestReservedAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"all annotations anew, without the stamp of a copy": {copied, `[{"op":"add","path":"/metadata/annotations","value":{"a/b":"1","c~d":"2","x":"y"}}]`},
		"with it":             {copied, `[{"op":"add","path":"/metadata/annotations","value":{"amp.txn2.com/event":"u-1","a/b":"1","c~d":"2","x":"y"}}]`},
		"no annotations":      {copied, `[{"op":"test","path":"/metadata/labels/amp.txn2.com~1enabled","value":"true"},{"op":"remove","path":"/metadata/annotations"}]`},
		"the stamp, copied":   {copied, `[{"op":"copy","from":"/metadata/annotations/amp.txn2.com~1event","path":"/metadata/annotations/was"}]`},
		"other keys of amp's": {patchtest.Rich, `[{"op":"add","path":"/metadata/annotations/amp.txn2.com~1example","value":"x"},{"op":"add","path":"/metadata/labels/amp.txn2.com~1example","value":"x"}]`},
	})
}
