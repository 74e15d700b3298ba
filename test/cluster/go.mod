// The tests in a real cluster. They are a module of their own that uses only the standard library: they learn about
// the cluster only through its kubectl.
module github.com/txn2/amp/test/cluster

go 1.26.0
