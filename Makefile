# Two commands matter: `make demo` and `make test`. Each does its own set-up; a second run uses what is there.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TAGS    := grpcnotrace
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 10s

.PHONY: demo test quick build lite vet fuzz bench soak matrix peers peers-demo

demo: peers-demo build
	./lbmedic demo --once

# The whole program; `make lite` leaves out the checks whose drivers are most of its size.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o lbmedic ./cmd/lbmedic

lite:
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS),lite -ldflags '$(LDFLAGS)' -o lbmedic-lite ./cmd/lbmedic

test: peers build vet
	$(GO) test -tags $(TAGS) -race -timeout 20m ./...
	$(MAKE) fuzz

# The inner loop: no peers, at most 90 seconds.
quick: vet
	LBMEDIC_PEERS=none timeout 90 $(GO) test -tags $(TAGS) -short ./...

vet:
	@unformatted="$$("$$($(GO) env GOROOT)/bin/gofmt" -l .)" && test -z "$$unformatted" || { echo "gofmt these: $$unformatted"; exit 1; }
	$(GO) vet -tags $(TAGS) ./...
	$(GO) vet -tags $(TAGS),lite ./cmd/... ./healthd/...

# Each fuzz target in turn, FUZZTIME each.
fuzz:
	$(GO) run ./integration/fuzzall -tags $(TAGS) -time $(FUZZTIME)

# Every integration test against every version of every peer.
matrix: peers build
	LBMEDIC_REQUIRE_PEERS=1 LBMEDIC_MATRIX=full $(GO) test -tags $(TAGS) -race -count=1 -timeout 60m ./...

bench: peers build
	LBMEDIC_REQUIRE_PEERS=1 LBMEDIC_BENCH=1 $(GO) test -tags $(TAGS) -count=1 -timeout 30m -run '^TestBench' -v ./integration/bench

# 10,000 checks for an hour: memory must not grow.
soak: peers build
	LBMEDIC_REQUIRE_PEERS=1 LBMEDIC_BENCH=1 LBMEDIC_BENCH_MANY=1h $(GO) test -tags $(TAGS) -count=1 -timeout 90m -run '^TestBenchManyChecks$$' -v ./integration/bench

peers:
	integration/peers.sh test

peers-demo:
	integration/peers.sh demo
