// The tests in a real cluster. They are a module of their own because they learn about the cluster only through its kubectl,
// and need no library but the one that drives a browser, which amp does not need.
module github.com/txn2/amp/test/cluster

go 1.26.0

require github.com/chromedp/chromedp v0.23.0

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
)
