// The tests in a real cluster. A module of its own, with nothing but the standard library: all that they
// know of a cluster they ask its kubectl.
module github.com/txn2/amp/test/cluster

go 1.26.0
