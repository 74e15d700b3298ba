package soak

import (
	"testing"

	"github.com/txn2/amp/test/e2e/stress"
)

func TestMain(m *testing.M) { stress.Main(m) }
