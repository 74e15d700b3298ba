.PHONY: run test e2e e2e-cluster e2e-release build image

# What amp does, on one screen, without a cluster.
run:
	go run ./cmd/demo

# The quick suite; TESTFLAGS=-v shows what was skipped.
test:
	go test -race $(TESTFLAGS) ./...
	@echo
	@echo 'Left out, since they take minutes and more than Go:'
	@echo '  make e2e                           amp on a real kube-apiserver, which it builds from Go modules'
	@echo '  make e2e-cluster AMP_CLUSTER=path  amp in a real cluster, through the adapter at that path (test/cluster)'
	@echo '  make e2e-release                   images, archives and manifests as a release ships them (test/release)'

# -count=1: the programs that these suites run are built from another module, of which Go's test cache
# knows nothing.
e2e:
	cd test/e2e && go test -count=1 -timeout 30m -v ./...

# A path is taken from here, a bare name from PATH.
e2e-cluster: override export AMP_CLUSTER := $(if $(findstring /,$(AMP_CLUSTER)),$(abspath $(AMP_CLUSTER)),$(AMP_CLUSTER))
e2e-cluster:
	@test -n "$$AMP_CLUSTER" || { echo 'make e2e-cluster needs AMP_CLUSTER: the adapter to a real cluster, see test/cluster' >&2; exit 1; }
	cd test/cluster && go test -count=1 -timeout 60m -v ./...

# A whole release up to its publication, images included, with a stand-in for their base: no registry is needed.
e2e-release:
	cd test/release && go test -count=1 -timeout 30m -v ./...

# The images and manifests of this commit, in bin/release, with nothing pushed: see .ci/images for the rest.
image:
	.ci/images $(or $(VERSION),$(shell git describe --tags --always --dirty))

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...
