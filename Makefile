GO ?= go
TOOL = $(GO) tool -modfile=.tools/go.mod

.PHONY: help build test lint fmt interop fuzz browser prove bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/grantcheck, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/grantcheck ./cmd/grantcheck

test: ## run every test that needs Go alone (about 3 minutes on 2 cores)
	GOGC=400 $(GO) test ./...

lint: ## vet, gofumpt and staticcheck, pinned in .tools/go.mod
	$(GO) vet ./...
	@bad=$$($(TOOL) gofumpt -l cmd load report suites); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi
	$(TOOL) staticcheck ./...

fmt: ## format the code
	$(TOOL) gofumpt -w cmd load report suites

interop: ## judge servers that we did not write; needs npm, Node 20 and the module proxy (half a minute once they are installed)
	$(GO) test -count=1 -tags interop -run TestInterop -timeout 10m -v ./cmd/grantcheck

fuzz: ## one minute for each fuzz target
	@set -e; $(GO) list -f '{{.Dir}} {{.ImportPath}}' ./... | while read -r dir pkg; do \
		for f in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go 2>/dev/null); do \
			echo "$$pkg $$f"; $(GO) test -run xxx -fuzz "^$$f$$" -fuzztime 60s -fuzzminimizetime 1x $$pkg </dev/null; \
		done; \
	done

browser: ## the HTML report in a real browser
	cd report/browsertest && $(GO) test ./...

prove: ## every fault against every rule, in full (a quarter of an hour)
	GRANTCHECK_WHOLE=1 $(GO) test ./suites -run 'TestEveryRuleIsProved|TestVariationsStayAtPass' -count=1 -timeout 60m

bench: ## whole checks, and a load beside the vegeta command in one interleaved run
	$(GO) test ./suites -run '^$$' -bench Check -benchtime 5x
	$(TOOL) -n vegeta >/dev/null
	LOAD_BENCH=1 VEGETA="$$($(TOOL) -n vegeta)" $(GO) test -run TestBench -count=1 -v -timeout 20m ./load

clean: ## remove what was built
	rm -rf bin
