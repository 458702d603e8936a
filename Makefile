# Holon. `make` lists what can be made.

GO            ?= go
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
STACK         := $(GO) run ./internal/devstack/run
DEMO_FLAGS    := $(if $(ONCE),--once)
HOLON_CHAOS_MINUTES ?= 3

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/holon ## Build bin/holon

.PHONY: bin/holon
bin/holon:
	@$(GO) build -o $@ ./cmd/holon

.PHONY: demo
demo: bin/holon ## Run everything on real stores with a demonstration fleet (ONCE=1: check it and end)
	@./bin/holon dev --demo $(DEMO_FLAGS)

.PHONY: dev
dev: bin/holon ## Run everything on real stores, without data
	@./bin/holon dev

.PHONY: test
test: bin/holon ## Run all tests on a real Neo4j and Redis, but for those of check
	@$(STACK) -heap 1024 -- $(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v -e /internal/arch$$ -e /internal/checks$$)

.PHONY: e2e
e2e: bin/holon ## Run the tests that need a browser, npm clients or a Mosquitto
	@./e2e/run.sh

.PHONY: chaos
chaos: bin/holon ## Kill and pause the real processes while readings arrive, and close the ledger
	@HOLON_CHAOS_MINUTES=$(HOLON_CHAOS_MINUTES) $(GO) test -count=1 -timeout $$(($(HOLON_CHAOS_MINUTES) + 30))m -v ./internal/chaos/

.PHONY: bench
bench: bin/holon ## Measure the pipeline and the API beside the raw stores
	@./bin/holon bench

.PHONY: check
check: generated format lint arrows compose ## Generated code, format, lint, arrows, Compose file

.PHONY: generate
generate: ## Write the generated code anew
	@$(GO) tool gqlgen generate
	@$(GO) generate ./...

.PHONY: generated
generated: ## Check that the generated code is up to date
	@./internal/checks/generated.sh

.PHONY: format
format: ## Check the format
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "run gofmt -w on:"; echo "$$files"; exit 1; }

.PHONY: lint
lint: ## Vet and lint
	@$(GO) run $(GOLANGCI_LINT) run

.PHONY: arrows
arrows: ## Check what imports what
	@$(GO) test -count=1 ./internal/arch/

.PHONY: compose
compose: ## Check docker-compose.yml against the Compose schema, and the diagrams of the docs
	@$(GO) test -count=1 ./internal/checks/
