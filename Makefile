# `make` lists what there is. Every target may run at any time, does nothing twice, and needs only Go; tests need Node
# with npm, Postgres and Redis too, and the race detector a C compiler. Tools are built from tools/*/go.mod into bin/, once.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Flags for every `go test`: make test TESTFLAGS='-count=1 -run Match'
TESTFLAGS ?=
# The same for each clone of a commit, as it is part of what is built.
VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo unknown)

RESULTS := bin/results
# What came of the scenarios of the last `make e2e`.
SCENARIOS := $(RESULTS)/scenarios.json
PGSTORE := services/state/store/pgstore
MODULES := $(patsubst %/go.mod,%,$(wildcard proto/go.mod services/go.mod tools/*/go.mod deploy/*/go.mod))
# Modules of our own code beside the workspace.
PROGRAMS := $(filter-out proto services tools/buf tools/gen tools/lint tools/sqlc,$(MODULES))
TOOLS := bin/buf bin/protoc-gen-go bin/protoc-gen-go-grpc bin/golangci-lint bin/govulncheck bin/gotally bin/sqlc
# What npm writes last, beside each lock file of the apps under test.
NPM_DONE := $(patsubst %/package-lock.json,%/node_modules/.package-lock.json,$(shell \
	find tools/e2e -name node_modules -prune -o -name package-lock.json -print 2>/dev/null))

.PHONY: help
help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tools
tools: $(TOOLS) ## build the build tools into bin/, if missing or older than their go.mod
	@:

.PHONY: build
build: ## build bin/stepwell, and the services as programs of their own
	@mkdir -p bin && go build -buildvcs=false -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ \
		./services/standalone/cmd/stepwell ./services/state/cmd/state ./services/runner/cmd/runner \
		./services/executor/cmd/executor ./services/event-api/cmd/event-api

.PHONY: test
test: ## run all tests: unit, archtest, and end to end; the last line is the count
	@$(MAKE) unit
	@$(MAKE) e2e
	@bin/gotally $(RESULTS)/unit.json $(RESULTS)/e2e.json

# archtest and the tests of the chart and of deploy/ also read files that the test cache of the go command does not watch,
# so they run apart and always.
UNIT = $$(go list work | grep -v /services/internal/archtest)

.PHONY: unit
unit: bin/gotally ## run the unit tests, archtest, and the tests of the Helm chart and of deploy/ that need no cluster
	@mkdir -p $(RESULTS)
	@{ go test -json $(TESTFLAGS) $(UNIT) || broken=1; \
		go test -json -count=1 ./services/internal/archtest || broken=1; \
		GOWORK=off go test -C tools/gotally -json $(TESTFLAGS) ./... || broken=1; \
		GOWORK=off go test -C tools/crash -json $(TESTFLAGS) ./... || broken=1; \
		GOWORK=off go test -C tools/images -json $(TESTFLAGS) ./... || broken=1; \
		GOWORK=off go test -C tools/compose -json -count=1 $(TESTFLAGS) ./... || broken=1; \
		GOWORK=off go test -C tools/chart -json -count=1 $(TESTFLAGS) ./... || broken=1; \
		exit $${broken:-0}; } | bin/gotally -o $(RESULTS)/unit.json

# The runtime crashes where the race detector meets the fake time of testing/synctest on two processors at once
# (golang/go#78156): timers of a bubble share one race context. Tests that use it get one processor; the detector works
# there too. -short, as more rounds of random tests find wrong answers and hardly ever another race.
.PHONY: race
race: bin/gotally ## run the unit tests with the race detector
	@mkdir -p $(RESULTS)
	@export CGO_ENABLED=1; \
		fake=$$(go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' work \
			| awk '/testing\/synctest/ { print $$1 }'); \
		{ go test -json -race -short $(TESTFLAGS) $$(grep -vxF "$$fake" <<< "$(UNIT)") || broken=1; \
		go test -json -race -short -cpu=1 $(TESTFLAGS) $$fake || broken=1; \
		exit $${broken:-0}; } | bin/gotally -o $(RESULTS)/race.json

.PHONY: e2e
e2e: build bin/gotally $(NPM_DONE) ## run the end-to-end tests: real SDKs and the load program against what build makes
	@mkdir -p $(RESULTS)
	@export E2E_SERVER=$${E2E_SERVER:-$(CURDIR)/bin/stepwell} E2E_RESULTS=$${E2E_RESULTS:-$(CURDIR)/$(SCENARIOS)} GOWORK=off; \
		{ go test -C tools/e2e -json -count=1 -timeout=20m $(TESTFLAGS) ./... || broken=1; \
		go test -C tools/load -json -count=1 $(TESTFLAGS) ./... || broken=1; \
		exit $${broken:-0}; } | bin/gotally -o $(RESULTS)/e2e.json

.PHONY: compatibility
compatibility: $(SCENARIOS) ## write docs/compatibility.md from the results of the last make e2e, which compares it
	@GOWORK=off go run -C tools/e2e ./cmd/compatibility $(CURDIR)/$(SCENARIOS) > $(RESULTS)/compatibility.md
	@cp $(RESULTS)/compatibility.md docs/

$(SCENARIOS):
	@echo 'there are no results yet: make e2e'; exit 1

TRIALS ?= 10

.PHONY: crash
crash: build ## kill, freeze and empty everything under load, TRIALS times (10); nothing may be lost, doubled or changed
	@GOWORK=off go build -C tools/crash -buildvcs=false -o ../../bin/crash . && bin/crash --trials $(TRIALS)

.PHONY: lint
lint: bin/golangci-lint bin/buf ## lint the Go code and the proto files
	@bin/golangci-lint run ./proto/... ./services/...
	@for program in $(PROGRAMS); do \
		(cd $$program && GOWORK=off ../../bin/golangci-lint run --config ../../.golangci.yaml ./...); done
	@cd proto && ../bin/buf lint

.PHONY: fmt
fmt: bin/golangci-lint bin/buf ## format the Go code and the proto files
	@bin/golangci-lint fmt proto services $(PROGRAMS)
	@cd proto && ../bin/buf format --write

.PHONY: generate
generate: bin/buf bin/protoc-gen-go bin/protoc-gen-go-grpc bin/sqlc ## write generated code anew: proto/gen and pgsql
	@cd proto && ../bin/buf generate
	@cd $(PGSTORE) && $(CURDIR)/bin/sqlc generate

.PHONY: chart
chart: ## write what is generated for the Helm chart: table of values, copies of alerts and dashboards, golden manifests
	@GOWORK=off go test -C tools/chart -count=1 . -update

# Compares with fresh output instead of asking git, so it changes nothing and holds in a dirty tree too.
.PHONY: verify
verify: bin/buf bin/protoc-gen-go bin/protoc-gen-go-grpc bin/sqlc bin/govulncheck ## check generated code, go.mod files and known vulnerabilities
	@cd proto && ../bin/buf lint && ../bin/buf format --diff --exit-code
	@rm -rf bin/verify && cd proto && ../bin/buf generate --output ../bin/verify
	@diff --recursive --unified proto/gen bin/verify/gen \
		|| { echo 'proto/gen is not what its source says: make generate'; exit 1; }
	@cd $(PGSTORE) && $(CURDIR)/bin/sqlc diff || { echo 'pgsql is not what its source says: make generate'; exit 1; }
	@for module in $(MODULES); do (cd $$module && GOWORK=off go mod tidy -diff) \
		|| { echo "$$module/go.mod is not tidy: cd $$module && GOWORK=off go mod tidy"; exit 1; }; done
	@report=$$(bin/govulncheck -C services ./... 2>&1) || { \
		if grep -q 'fetching vulnerabilities' <<< "$$report"; then echo 'no network: known vulnerabilities not checked'; \
		else echo "$$report"; exit 1; fi; }

PLATFORMS ?= linux/amd64,linux/arm64
OUT ?= bin/images
# All images there are; make images IMAGES='executor example' builds some.
IMAGES ?= event-api runner executor state stepwell example

.PHONY: images
images: ## build the container images as tarballs in OUT (bin/images) for PLATFORMS, with BuildKit or without any engine
	@VERSION='$(VERSION)' PLATFORMS='$(PLATFORMS)' OUT='$(OUT)' deploy/images.sh $(IMAGES)

# How the cluster test gives images to the cluster: LOAD_IMAGE is called with tarballs (kind load image-archive); empty if the
# cluster has them from elsewhere. BUILD_IMAGE is called with -t NAME -f FILE FOLDER. CLUSTERFLAGS go to tools/cluster.
LOAD_IMAGE ?=
BUILD_IMAGE ?= docker build
CLUSTERFLAGS ?=

.PHONY: cluster-test
cluster-test: $(NPM_DONE) ## test the chart in the cluster that KUBECONFIG names: install, scale, upgrade, kill; needs kubectl and helm
	@BUILDER=go $(MAKE) images OUT=bin/images/now PLATFORMS=linux/$$(go env GOARCH) IMAGES='$(IMAGES) publisher'
	@BUILDER=go $(MAKE) images OUT=bin/images/next PLATFORMS=linux/$$(go env GOARCH) VERSION=$(VERSION)-next
	@if [ -n '$(LOAD_IMAGE)' ]; then for image in bin/images/now/*.tar bin/images/next/*.tar; do $(LOAD_IMAGE) "$$image"; done; fi
	@$(BUILD_IMAGE) -t stepwell/kitchen-sink:$(VERSION) -f tools/e2e/apps/Dockerfile tools/e2e/apps
	@GOWORK=off go build -C tools/cluster -buildvcs=false -o ../../bin/cluster . && bin/cluster --version '$(VERSION)' \
		--next '$(VERSION)-next' --app-image 'stepwell/kitchen-sink:$(VERSION)' $(CLUSTERFLAGS)

.PHONY: demo
demo: build ## the dev server, an example app, an event, and its run on a timeline
	@GOWORK=off go build -C deploy/example -buildvcs=false -o ../../bin/example .
	@deploy/demo.sh

.PHONY: clean
clean: ## remove what builds and tests left; the tools stay
	@rm -rf bin/stepwell bin/state bin/runner bin/executor bin/event-api bin/images bin/verify $(RESULTS)

# One rule for each tool: `go build` alone would rebuild all that its module lists.
build-tool = @echo 'building $@'; GOWORK=off go build -C $(<D) -buildvcs=false -o ../../bin/ $(1) && touch $@

bin/buf: tools/buf/go.mod
	$(call build-tool,github.com/bufbuild/buf/cmd/buf)

bin/protoc-gen-go: tools/gen/go.mod
	$(call build-tool,google.golang.org/protobuf/cmd/protoc-gen-go)

bin/protoc-gen-go-grpc: tools/gen/go.mod
	$(call build-tool,google.golang.org/grpc/cmd/protoc-gen-go-grpc)

bin/golangci-lint: tools/lint/go.mod
	$(call build-tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

bin/sqlc: tools/sqlc/go.mod
	$(call build-tool,github.com/sqlc-dev/sqlc/cmd/sqlc)

bin/govulncheck: tools/lint/go.mod
	$(call build-tool,golang.org/x/vuln/cmd/govulncheck)

bin/gotally: tools/gotally/go.mod $(wildcard tools/gotally/*.go)
	$(call build-tool,.)

%/node_modules/.package-lock.json: %/package-lock.json
	@cd $* && npm ci --no-audit --no-fund --loglevel=error && mkdir -p node_modules \
		&& touch node_modules/.package-lock.json
