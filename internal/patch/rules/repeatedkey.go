package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// repeatedKey refuses a value in which an object has a key twice. The decoder takes the last one, but a
// person who reads the patch may take the first.
func repeatedKey(value *jsontree.Node) (fault string) {
	key, repeated := value.RepeatedKey()
	if !repeated {
		return ""
	}
	return fmt.Sprintf("its value has the key %s twice in one object", apply.Quote(key))
}
