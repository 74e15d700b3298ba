.PHONY: run test fuzz licences e2e e2e-cluster e2e-release build image

# Shows what amp does, on one screen, without a cluster.
run:
	go run ./cmd/demo

# The quick suite, with the race detector if there is a C compiler to build it with. TESTFLAGS=-v also shows what was
# skipped; TESTFLAGS=-count=1 also runs the tests whose results Go has cached.
test:
	@if go build -race runtime/cgo 2>/dev/null; then \
		race=-race; echo 'With the race detector.'; \
	else \
		race=; echo 'WITHOUT the race detector: it needs a C compiler.'; \
	fi; \
	set -x; go test $$race $(TESTFLAGS) ./...
	@echo
	@echo 'Not run, because they take minutes and need more than Go:'
	@echo '  make e2e                           amp on a real kube-apiserver, which it builds from Go modules'
	@echo '  make e2e-cluster AMP_CLUSTER=path  amp in a real cluster, through the adapter at that path (test/cluster)'
	@echo '  make e2e-release                   images, archives and manifests as a release ships them (test/release)'
	@echo '  make fuzz FUZZ_TIME=30s            every fuzz target for that time, on random inputs'
	@echo '  make licences                      the licences of what is linked, and docs/dependencies.md'

# FUZZ_TIME is the time of each target.
FUZZ_TIME ?= 30s
fuzz:
	.ci/fuzz $(FUZZ_TIME)

# The licences of all that a program links, and docs/dependencies.md against each go.mod.
licences:
	cd test/tools && go test -count=1 -v ./...

# -count=1: these suites build the programs that they run from other modules, and the test cache does not see changes
# there.
e2e:
	cd test/e2e && go test -count=1 -timeout 30m -v ./...

# AMP_CLUSTER is a path, relative to this folder, or the name of a program in PATH.
e2e-cluster: override export AMP_CLUSTER := $(if $(findstring /,$(AMP_CLUSTER)),$(abspath $(AMP_CLUSTER)),$(AMP_CLUSTER))
e2e-cluster:
	@test -n "$$AMP_CLUSTER" || { echo 'make e2e-cluster: set AMP_CLUSTER to the adapter to a real cluster, see test/cluster' >&2; exit 1; }
	cd test/cluster && go test -count=1 -timeout 60m -v ./...

# Makes a whole release, images included, up to its publication. It needs no registry: a stand-in replaces the base
# image.
e2e-release:
	cd test/release && go test -count=1 -timeout 30m -v ./...

# Makes the images and manifests of this commit, in bin/release, and pushes nothing: see .ci/images.
image:
	.ci/images $(or $(VERSION),$(shell git describe --tags --always --dirty))

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...
