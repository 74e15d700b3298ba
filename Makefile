.PHONY: run test fuzz licences attack e2e e2e-oldest soak e2e-cluster e2e-release chart test-chart test-login bench curves audit-scale profile build image pictures dashboard

# Shows what amp does, on one screen, without a cluster.
run:
	go run ./cmd/demo

# The quick suite, with the race detector if there is a C compiler to build it with. TESTFLAGS=-v also shows what was
# skipped; TESTFLAGS=-count=1 also runs the tests whose results Go has cached.
#
# SQLite is C that was translated to Go. The race detector would make it ten times as slow and has nothing to find in it: a
# connection's lock guards it. So it is compiled without. Nothing is compiled with data for debuggers: nobody debugs these programs,
# and with the race detector it takes a fifth of the compiler's time. The timeout is for one package on a slow machine: Go's own,
# ten minutes, is too short for the page's tests in Chromium there.
test:
	@if go build -race runtime/cgo 2>/dev/null; then \
		set -- -race -gcflags=all=-dwarf=false '-gcflags=modernc.org/...=-race=false -dwarf=false'; echo 'With the race detector.'; \
	else \
		set --; echo 'WITHOUT the race detector: it needs a C compiler.'; \
	fi; \
	set -x; go test "$$@" -timeout 30m $(TESTFLAGS) ./...
	@echo
	@echo 'Not run, because they take minutes and need more than Go:'
	@echo '  make attack                        amp in its cgroup, attacked from outside; needs root'
	@echo '  make e2e                           amp on a real kube-apiserver, which it builds from Go modules'
	@echo '  make e2e-oldest                    most of that on the oldest Kubernetes that amp is for'
	@echo '  make e2e-cluster AMP_CLUSTER=path  amp in a real cluster, through the adapter at that path (test/cluster)'
	@echo '  make bench                         what amp costs, in ratios: it judges nothing'
	@echo '  make e2e-release                   images, archives and manifests as a release ships them (test/release)'
	@echo '  make test-chart                    the Helm chart with both majors of Helm, and the dashboard (test/chart)'
	@echo '  make test-login                    the audit page behind oauth2-proxy, with an OIDC provider (test/login)'
	@echo '  make fuzz FUZZ_TIME=30s            every fuzz target for that time, on random inputs'
	@echo '  make licences                      the licences of what is linked, and docs/dependencies.md'

# FUZZ_TIME is the time of each target.
FUZZ_TIME ?= 30s
fuzz:
	.ci/fuzz $(FUZZ_TIME)

# The licences of all that a program links, and docs/dependencies.md against each go.mod.
licences:
	cd test/tools && go test -count=1 -timeout 30m -v ./...

# Attacks amp and the audit function as they are shipped, each in a memory cgroup, and prints a table with a verdict for
# each attack. AMP_ATTACK_FOR=1h then attacks at random for an hour, beside a good tenant. Linux, and root.
attack:
	go run ./test/attack $(if $(AMP_ATTACK_FOR),-for $(AMP_ATTACK_FOR)) $(ATTACKFLAGS)

# -count=1: these suites build the programs that they run from other modules, and the test cache does not see changes
# there.
# One package after the other: -p 1.
e2e:
	cd test/e2e && go test -count=1 -timeout 30m -p 1 -v . ./faults

# The same tests on the oldest Kubernetes that amp is for, which is built as the newest one is, from test/e2e/oldest. A test of
# a kind that this Kubernetes does not have is skipped, and says so. Left out are the tests that are mostly about sinks,
# connections and restarts of amp: they take as long as all others. `AMP_E2E_KUBERNETES=oldest make e2e` runs them, too.
e2e-oldest: export AMP_E2E_KUBERNETES := oldest
e2e-oldest:
	cd test/e2e && go test -count=1 -timeout 30m -v \
		-skip 'Required|Async|SinkThat|SDK|Secrets|DeadConnections|BundleOverwritten|RollingRestart|CertificateReplaced' .

# amp at half of what it can do, for half an hour or AMP_SOAK_FOR, among faults. It writes soak.svg and soak.md to bin.
soak: export AMP_SOAK_FOR := $(or $(AMP_SOAK_FOR),30m)
soak: export AMP_SOAK_OUT := $(abspath $(or $(AMP_SOAK_OUT),bin))
soak:
	@mkdir -p "$$AMP_SOAK_OUT"
	cd test/e2e && go test -count=1 -timeout 0 -v ./soak

# AMP_CLUSTER is a path, relative to this folder, or the name of a program in PATH.
e2e-cluster: override export AMP_CLUSTER := $(if $(findstring /,$(AMP_CLUSTER)),$(abspath $(AMP_CLUSTER)),$(AMP_CLUSTER))
e2e-cluster:
	@test -n "$$AMP_CLUSTER" || { echo 'make e2e-cluster: set AMP_CLUSTER to the adapter to a real cluster, see test/cluster' >&2; exit 1; }
	cd test/cluster && go test -count=1 -timeout 80m -v ./...

# Makes a whole release, images included, up to its publication. It needs no registry: a stand-in replaces the base
# image.
e2e-release:
	cd test/release && go test -count=1 -timeout 60m -v ./...

# The audit page behind oauth2-proxy, with an OIDC provider and Chromium. The proxy is built from Go modules.
test-login:
	cd test/login && go test -count=1 -timeout 60m -v ./...

# Measures what amp costs and writes the table of docs/performance.md. BENCH=quick prints the most important rows in a
# minute.
bench:
	cd test/bench && go run . -json ../../bin/bench-$$(date -u +%Y%m%dT%H%M%S).json \
		$(if $(filter quick,$(BENCH)),-quick,-document ../../docs/performance.md)

# Measures how the cost of a review grows, in three minutes. It draws docs/pictures/*.svg and writes their figures into
# docs/performance.md.
curves:
	@mkdir -p docs/pictures
	cd test/bench && go run . -curves ../../docs/pictures -document ../../docs/performance.md

# Loads PostgreSQL with 1 and 10 million events, or AMP_AUDIT_SCALE=1,10,40 millions, and measures each filter of the audit
# function. It writes the plot and the table of docs/audit-at-scale.md. For a million events it takes a minute and 1 GB of disk;
# it leaves 6 GiB free.
audit-scale: export AMP_AUDIT_SCALE ?= 1,10
audit-scale: export AMP_AUDIT_SCALE_OUT := $(abspath $(or $(AMP_AUDIT_SCALE_OUT),bin/audit-scale.json))
audit-scale:
	@mkdir -p bin
	AMP_REQUIRE_POSTGRES=1 go test -count=1 -timeout 6h -v -run TestScale ./endpoints/audit/internal/store/postgres
	cd test/bench && go run . -audit "$$AMP_AUDIT_SCALE_OUT" -curves ../../docs/pictures -document ../../docs/audit-at-scale.md

# Profiles amp under the load of the benchmark: the CPU in bin/profile.0 to .2, without events, over HTTP/1.1 and with events, and what
# is allocated in .allocs. See them with `go tool pprof`.
profile:
	@mkdir -p bin
	cd test/bench && go run . -profile ../../bin/profile

# Makes the images and manifests of this commit, in bin/release, and pushes nothing: see .ci/images.
image:
	.ci/images $(or $(VERSION),$(shell git describe --tags --always --dirty))

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...

# Brings the chart up to date with the folders of deploy: its files and its README. make test-chart fails until then.
chart:
	cd test/chart && AMP_UPDATE=1 go test -count=1 -run TestGenerated .

# The chart, with Helm 3 and Helm 4, and the dashboard, with a Prometheus that scrapes amp.
test-chart:
	cd test/chart && go test -count=1 -timeout 30m -v ./...

# Makes the pictures of the audit page anew, from the real thing: the page with the events of its tests, in Chromium.
pictures:
	@mkdir -p docs/pictures; shots=$$(mktemp -d); trap 'rm -rf "$$shots"' EXIT; set -ex; \
	AMP_AUDIT_SHOTS=$$shots AMP_REQUIRE_BROWSER=1 go test -count=1 -run TestThePageFits ./endpoints/audit; \
	cp "$$shots/desktop-light-list.png" docs/pictures/audit-list.png

# Makes the picture of the dashboard anew: amp works for AMP_TEST_DASHBOARD_FOR, some things fail meanwhile, and Grafana's component
# library draws what Prometheus saw. It needs root, npm, Prometheus and Chromium, and Kubernetes as make e2e does.
dashboard: export AMP_TEST_DASHBOARD_FOR ?= 200s
dashboard:
	page=$$(mktemp -d); trap 'rm -rf "$$page"' EXIT; set -ex; \
	cp test/e2e/dashboard/package*.json test/e2e/dashboard/page.jsx "$$page"; \
	(cd "$$page"; npm ci --no-audit --no-fund --ignore-scripts --loglevel=error; \
		npx esbuild page.jsx --bundle --minify --format=esm --jsx=automatic --loader:.woff=empty --loader:.woff2=dataurl \
			--external:monaco-editor --outdir=.); \
	(cd test/e2e; AMP_TEST_DASHBOARD=$$page go test -count=1 -timeout 60m -v ./dashboard); \
	cp "$$page/dashboard.png" docs/pictures/dashboard.png
