# What people and CI run. `make demo` shows the product, `make test` tests it; both install what is missing.

SHELL   := /usr/bin/env bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

# The last flag keeps the runtime's monitor thread awake, which makes the relay cost about what HAProxy costs; it can't
# be set in the source. See ARCHITECTURE.md.
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X=runtime.godebugDefault=schedtrace=2147483647

RACE := ./session/... ./router/... ./proxy/... ./coord/... ./admin/... ./internal/wire/... ./internal/auth/... ./internal/certs ./internal/gtid/... \
	./internal/child ./internal/proxyproto ./internal/sockopt ./internal/pause ./internal/faultnet ./internal/guard ./internal/tandem
# What takes minutes with its servers is tested under the race detector only.
RACE_ONLY := ./failover ./failover/detect ./health ./backend

.PHONY: help build demo test test-unit test-race test-integration bench bars suites mtr tools versions leaks chaos migration lint deps clean

help: ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

build: ## build bin/onewriter, one static binary
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o bin/onewriter ./cmd/onewriter

demo: build ## run a real pair, onewriter, a load and a switchover; FLAVOR=mysql for MySQL 9
	scripts/install-test-deps --$(or $(FLAVOR),mariadb)
	bin/onewriter demo --flavor $(or $(FLAVOR),mariadb) $(ARGS)

deps: ## install the servers and clients that the tests need
	scripts/install-test-deps

test: deps lint ## everything CI runs
	$(MAKE) --no-print-directory -j 2 test-unit test-race
	$(MAKE) --no-print-directory test-integration

test-unit: ## tests of the packages but those of RACE_ONLY; where servers are missing they fail
	ONEWRITER_REQUIRE_SERVERS=1 go test -p 2 -timeout 15m $$(go list ./... | grep -v /integration | grep -vxF "$$(go list $(RACE_ONLY))")
	go test -timeout 5m -run 'TestSimulation' ./failover

test-race: ## the concurrent packages under the race detector
	ONEWRITER_REQUIRE_SERVERS=1 CGO_ENABLED=1 go test -race -short -p 2 -timeout 15m $(RACE_ONLY) $(RACE)

test-integration: ## the built program with real servers and clients
	ONEWRITER_REQUIRE_SERVERS=1 go test -count=1 -timeout 15m ./integration/...

chaos: ## faults on real servers; SEED=1 MINUTES=10 FLAVOR=mysql SETUP=mariadb-semisync FAULT=regexp
	ONEWRITER_REQUIRE_SERVERS=1 go test -v -count=1 -timeout 0 ./integration/chaos -run '$(or $(RUN),TestChaos)' -chaos.seed $(or $(SEED),1) -chaos.minutes $(or $(MINUTES),0) \
		-chaos.flavor '$(FLAVOR)' -chaos.setup '$(SETUP)' -chaos.fault '$(FAULT)'

migration: ## random sequences of session changes, moved and compared; SEQUENCES=10000 SEED=1 FLAVOR=mysql
	ONEWRITER_REQUIRE_SERVERS=1 go test -v -count=1 -timeout 0 ./integration/migration -run '$(or $(RUN),TestSessionsMove)' -migration.sequences $(or $(SEQUENCES),10000) -migration.seed $(or $(SEED),1) -migration.flavor '$(FLAVOR)'

bench: build ## all bars, against direct connections and HAProxy, as Markdown; about 10 minutes; ARGS="--only points"
	scripts/install-test-deps --bench
	scripts/install-test-deps --servers
	go run ./integration/bench $(ARGS)

bars: ## kill, hang and cut off primaries many times: times and losses; BARS=50
	scripts/install-test-deps
	ONEWRITER_BARS=$(or $(BARS),10) go test -count=1 -timeout 4h -v -run '$(or $(RUN),TestBar)' ./integration | grep -v '^=== '

leaks: ## 100,000 connections that come and go in all ways, on each flavour; LEAKS=1000
	scripts/install-test-deps
	ONEWRITER_LEAKS=$(or $(LEAKS),100000) go test -count=1 -timeout 2h -v -run TestNothingIsLeftBehind ./integration | grep -v '^=== '

suites: build ## drivers' own tests, directly and through onewriter; SUITE=go|pymysql|mysql2|mariadb-node|php|c|dbd-mariadb|dbd-mysql FLAVOR=mysql
	scripts/install-test-deps --servers
	go run ./integration/clients/suites -flavor $(or $(FLAVOR),mariadb) -- scripts/driver-suite $(or $(SUITE),go)

mtr: build ## the servers' own regression tests, directly and through onewriter, compared; RUN='^main\.ps' FLAVOR=mysql ARGS='-args --ps-protocol'
	scripts/install-test-deps --mtr
	go run ./integration/clients/mtr -flavor $(or $(FLAVOR),mariadb) -run '$(or $(RUN),^main\.)' $(ARGS)

tools: ## the flavours' client programs and sysbench through onewriter, with a database of MB=50
	scripts/install-test-deps
	ONEWRITER_REQUIRE_SERVERS=1 ONEWRITER_DUMP_MB=$(or $(MB),50) ONEWRITER_SYSBENCH_SECONDS=$(or $(SECONDS_EACH),20) \
		go test -count=1 -timeout 1h -v -run 'TestTools$(if $(FLAVOR),/$(FLAVOR))' ./integration/clients | grep -v '^=== '

# What is run against other versions. The packages whose tests speak one version's words (failover/rewind, ...) are left out.
VERSIONS_PKGS := ./internal/mysqltest ./internal/flavor ./internal/sqlclass ./backend ./health ./doctor ./failover ./integration ./integration/clients ./integration/migration
VERSIONS_RUN  := TestPairs|TestServer|TestObserve|TestReadOnly|TestFence|TestWait|TestChangeSource|TestSemiSync|TestSessions|TestPrivileged|TestMariaDB|TestMySQL|TestReal|TestHealthyPair|TestSelfTest|TestCircular|TestStart|TestSwitchover|TestFailoverAfterKill|TestMatrix|TestLogins|TestProtocol|TestCompression|TestStandby|TestKill$$|TestDrivers|TestDocumentedSequences|TestSessionsMove

versions: ## those tests on another version of a server; VERSION=mysql-5.6|mariadb-10.5|mariadb-11.8|mariadb-sid RUN=regexp PKGS=./integration
	root=$$(scripts/install-server $(VERSION)) && flavor=$$(echo $(VERSION) | sed 's/-.*//') && \
		export ONEWRITER_REQUIRE_SERVERS=1 ONEWRITER_ONLY=$$flavor ONEWRITER_$$(echo $$flavor | tr a-z A-Z)_ROOT=$$root && \
		go test -count=1 -p 1 -timeout 1h -run '$(or $(RUN),$(VERSIONS_RUN))' $(or $(PKGS),$(VERSIONS_PKGS))

lint: ## gofmt, go vet, and golangci-lint where it is installed
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "not gofmt-ed: $$files"; exit 1; fi
	go vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: skipped"; fi

clean: ## remove what was built
	rm -rf bin dist
