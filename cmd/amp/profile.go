//go:build profile

package main

import (
	"log"
	"net/http"
	_ "net/http/pprof" // registers its paths
	"os"
)

// With the build tag profile, amp tells where its time and memory go, at the address PPROF_ADDR: see make profile. A release
// does not have the tag: a profile would show who may ask for it what amp does for whom.
func init() {
	go func() { log.Fatal(http.ListenAndServe(os.Getenv("PPROF_ADDR"), nil)) }()
}
