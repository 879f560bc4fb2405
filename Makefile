# ZTOS: build, demonstration, tests. `make help` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO          ?= go
BUILD       := build
BIN         := $(BUILD)/bin
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS     := -s -w -X main.version=$(VERSION)
# Static binaries, without paths of the machine that built them.
GOBUILD     := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
COMMANDS    := $(notdir $(wildcard cmd/*))

# The linter is a Go program and is run at this version, whatever is installed.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Seconds for each fuzz target. `make fuzz FUZZTIME=60` for a long run.
FUZZTIME    ?= 3
# Extra arguments for go test, and for perf: make unit ARGS='-run TestX -v'
ARGS        ?=
# Rounds of the full benchmark.
ROUNDS      ?= 5
# KEEP=1 leaves the demonstration's lab up.
KEEP        ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## --- build and show -------------------------------------------------------

.PHONY: build
build: ## Static binaries of every command, into build/bin
	@mkdir -p $(BIN)
	@for c in $(COMMANDS); do \
	  echo "build $(BIN)/$$c"; $(GOBUILD) -o $(BIN)/$$c ./cmd/$$c; \
	done
	@echo "build $(BIN)/ztos-demo"; $(GOBUILD) -o $(BIN)/ztos-demo ./e2e/demo

.PHONY: demo
demo: ## Install what is missing, build, and show a fabric at work (KEEP=1 leaves its lab up)
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build
	@KEEP=$(KEEP) $(BIN)/ztos-demo

.PHONY: perf-quick
perf-quick: ## Whole path against its peers in under 3 minutes, into build/perf-quick.json
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build perf-build
	@$(BIN)/perfquick -o $(BUILD)/perf-quick.json

.PHONY: profile
profile: ## Profiles and flame graphs of nodes under load in a minute, into build/profile
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build perf-build
	@$(BIN)/profile -o $(BUILD)/profile

# go build takes default.pgo of the main package by itself.
.PHONY: pgo
pgo: ## Take the profile anew that the engine is optimised by, in a minute once built
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build perf-build
	@$(BIN)/pgo collect -o cmd/ztos-engine/default.pgo

.PHONY: pgo-gain
pgo-gain: ## Measure what that profile gains, in 6 minutes, into build/pgo-gain.json
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build perf-build
	@$(GOBUILD) -pgo=off -o $(BIN)/ztos-engine-pgo-off ./cmd/ztos-engine
	@$(BIN)/pgo gain -o $(BUILD)/pgo-gain.json

.PHONY: scale
scale: ## How cost grows with FDB, FIB, VNIs, peers and SAs, into build/scale.json, plots and docs/scale.md
	@$(MAKE) --no-print-directory build
	@echo "build $(BIN)/scale"; $(GOBUILD) -o $(BIN)/scale ./perf/cmd/scale
	@$(BIN)/scale -engine $(BIN)/ztos-engine -o $(BUILD)/scale.json -dir $(BUILD)/scale -plots $(BUILD)/plots -doc docs/scale.md $(ARGS)

.PHONY: routes
routes: ## How fast the engine and FRR take EVPN routes, into build/routes.json and docs/evpn-scale.md
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory build
	@echo "build $(BIN)/routes"; $(GOBUILD) -o $(BIN)/routes ./perf/cmd/routes
	@$(BIN)/routes -engine $(BIN)/ztos-engine -o $(BUILD)/routes.json -doc docs/evpn-scale.md $(ARGS)

.PHONY: moves
moves: ## How fast leaves follow hosts that move, in 4 minutes, into build/moves.json and docs/evpn-convergence.md
	@scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build
	@echo "build $(BIN)/moves"; $(GOBUILD) -o $(BIN)/moves ./perf/cmd/moves
	@$(BIN)/moves -engine $(BIN)/ztos-engine -o $(BUILD)/moves.json -doc docs/evpn-convergence.md $(ARGS)

.PHONY: perf
perf: ## The full benchmark, about 25 minutes for ROUNDS=5: build/perf.json, charts in build/perf-charts
	@scripts/install-deps.sh perf
	@$(MAKE) --no-print-directory build perf-build
	@$(BIN)/perf -rounds $(ROUNDS) -o $(BUILD)/perf.json -charts $(BUILD)/perf-charts \
	  -command 'make perf ROUNDS=$(ROUNDS)$(if $(ARGS), ARGS="$(ARGS)")' $(ARGS)

.PHONY: perf-doc
perf-doc: ## Write the generated part of docs/performance.md from build/perf.json
	@$(MAKE) --no-print-directory perf-build
	@$(BIN)/perf -from $(BUILD)/perf.json -charts '' -doc docs/performance.md

.PHONY: perf-build
perf-build:
	@mkdir -p $(BIN)
	@for c in $(wildcard perf/cmd/*) perf/peers/wireguard-go; do \
	  echo "build $(BIN)/$$(basename $$c)"; $(GOBUILD) -o $(BIN)/$$(basename $$c) ./$$c; \
	done

## --- tests, cheap ones first ----------------------------------------------

.PHONY: test
test: ## Everything: checks, unit, race, fuzz, end to end, interop (what CI runs)
	@scripts/install-deps.sh test
	@for t in fmt tidy generated vet lint unit race fuzz build e2e interop; do \
	  echo "== $$t"; start=$$SECONDS; \
	  $(MAKE) --no-print-directory $$t; \
	  echo "== $$t: ok, $$((SECONDS - start)) s"; \
	done

.PHONY: fmt
fmt: ## Fail when a file is not gofmt'ed
	@out=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$out" ]; then echo "not gofmt'ed:"; echo "$$out"; exit 1; fi

.PHONY: tidy
tidy: ## Fail when go.mod and go.sum are not what the code needs
	@$(GO) mod tidy -diff

.PHONY: generated
generated: ## Fail when crypto/aead's assembly is not what its generators write
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for a in chacha gcm; do \
	  $(GO) -C crypto/aead/asm run ./$$a -out "$$dir/$$a.s" -pkg aead; \
	  cmp <(tail -n +2 "$$dir/$$a.s") <(tail -n +2 crypto/aead/$${a}_amd64.s) || \
	    { echo "crypto/aead/$${a}_amd64.s is old: run go generate ./crypto/aead"; exit 1; }; \
	done

.PHONY: vet
vet: ## go vet, with and without the tags of the privileged tests
	@$(GO) vet ./...
	@$(GO) vet -tags netns,interop ./...

.PHONY: lint
lint: ## staticcheck, at a pinned version (.golangci.yml is for editors)
	@$(GO) run $(STATICCHECK) -tags netns,interop ./...

.PHONY: unit
unit: ## Unit, vector, model, allocation and layer tests
	@$(GO) test $(ARGS) ./...

.PHONY: race
race: ## The same under the race detector, one package at a time
	@$(GO) build -race ./... # all at a time: -p 1 is for building too
	@$(GO) test -race -p 1 -timeout 15m $(ARGS) ./...

.PHONY: alloc
alloc: ## Only the zero-allocation tests
	@$(GO) test -run 'Alloc' -count=1 $(ARGS) ./...

.PHONY: layers
layers: ## Only the repository guard: layers, comments, citations, words
	@$(GO) test -count=1 $(ARGS) ./internal/guard/

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME seconds (3)
	@.ci/fuzz $(FUZZTIME)

.PHONY: e2e
e2e: ## Whole nodes in network namespaces (root)
	@$(GO) test -tags netns -count=1 -p 1 -timeout 20m $(ARGS) ./e2e/... ./lab/... ./perf/... ./internal/guard/

.PHONY: interop
interop: ## Against other implementations, one of them a Debian kernel in QEMU (root)
	@$(GO) test -tags interop -run Interop -count=1 -p 1 -timeout 20m $(ARGS) ./e2e/...

## --- generated files and cleaning -----------------------------------------

.PHONY: docs
docs: ## Write the generated parts of docs/ again
	@$(GO) test ./internal/guard/ -run TestCountersDoc -update

.PHONY: clean
clean: ## Remove build/
	@rm -rf $(BUILD)
