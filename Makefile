# Deich. Two commands for newcomers: make demo, make test.
GO      ?= go
BIN     := bin/deich
VERSION ?= $(shell packaging/version.sh 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: all release image build demo test check race fuzz e2e bench bench-users profile bench-go exam soak lint deps clean goldens pages gate-object bench-gate

all: build

build: ## one static binary, bin/deich
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/deich

demo: build ## the main job, on loopback, nothing to configure
	$(BIN) demo

check: ## every day, in under three minutes
	$(GO) vet ./...
	$(GO) test -short ./...

# edge is tested twice: the detector's build has other sockets (edge/accepted_linux.go).
test: deps build ## everything: race detector, fuzz seeds, browsers, namespaces, kills
	$(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v -e /e2e -e /cmd/deich -e /drill)
	$(GO) test -timeout 15m ./edge
	$(GO) test -timeout 35m ./cmd/... ./drill/... ./e2e/...

fuzz: ## a minute for every fuzz target
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-60s} $$p || exit 1; \
	  done; done

bench: build ## Deich beside nginx, HAProxy and Varnish on this machine: two cores, nothing else running, no rights needed
	$(GO) build -o bin/bench ./bench
	bin/bench $(CONTEST)

profile: ## cmd/deich/default.pgo anew, from Deich under the contests' load; go build takes it by itself
	CGO_ENABLED=0 $(GO) build -trimpath -tags deichprofile -o bin/deich-profile ./cmd/deich
	$(GO) build -o bin/bench ./bench
	rm -rf bin/profile && mkdir -p bin/profile
	DEICH_PROFILE=$(CURDIR)/bin/profile bin/bench -deich bin/deich-profile -out bin/profile -rounds 1 http1 h2 flood answered
	$(GO) tool pprof -proto bin/profile/*.cpu >bin/profile/all.pgo
	mv bin/profile/all.pgo cmd/deich/default.pgo

bench-users: build ## what users keep in floods behind each peer: about forty minutes (SCENARIO="botnet …")
	$(GO) build -o bin/bench ./bench
	bin/bench users $(SCENARIO)

bench-gate: ## the gate beside nftables and the stack, in floods of frames in namespaces of its own: as root, some four minutes, two idle cores
	$(GO) build -o bin/bench-gate ./bench/gate
	bin/bench-gate

bench-go: ## the costs of the engine and of each part, by Go's own benchmarks
	$(GO) test -run '^$$' -bench . -benchmem . ./sketch ./guard ./edge

exam: build ## the long ones: every scenario on real sockets, every fuzz target, fresh seeds
	DEICH_EXAM=3 $(GO) test -count=1 -timeout 20m -v -run '^Test(Exam|Day)$$' ./drill/sim
	$(BIN) drill
	DEICH_EXAM=1 $(GO) test -count=1 -timeout 35m -v -run 'TestHTTPCacheTests|TestAppsUnderBotnet|TestOutageUnderAFlood|TestFloodAtTheKeptRoute|TestDrillsAreRecordedAsTheyWere|TestBotnetAtTheGate' ./e2e
	DEICH_EXAM=1 $(GO) test -count=1 -timeout 10m -v -run '^TestH2AbuseIsNotNoticed$$' ./edge
	DEICH_TORTURE=500 $(GO) test -count=1 -timeout 60m -v -run '^TestKilled$$' ./spool
	DEICH_TORTURE=500 $(GO) test -count=1 -timeout 60m -v -run '^TestKilledLosesNothing$$' ./e2e
	$(MAKE) fuzz

soak: ## an hour at half load with reloads and floods: nothing may grow; figures to bench/results (SOAK=3m for less)
	DEICH_SOAK=$${SOAK:-1h} DEICH_SOAK_OUT=$(CURDIR)/bench/results $(GO) test -count=1 -timeout 26h -v -run '^TestSoak$$' ./e2e

lint:
	@out=$$(gofmt -l . ); [ -z "$$out" ] || { echo "not gofmt'ed:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

goldens: ## rewrite the golden texts from what the code does now; read the diff
	$(GO) test . ./cmd/deich -rewrite

gate-object: ## the kernel gate's programs anew from their C (Debian: clang-19, llvm-19)
	gate/gen.sh

deps: ## Debian packages that tests use: only as root, only where they are missing
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  need=; command -v chromium >/dev/null || need="$$need chromium"; \
	  [ -d /usr/share/fonts/truetype/dejavu ] || need="$$need fonts-dejavu-core"; \
	  command -v gtlsclient >/dev/null || need="$$need ngtcp2-client"; \
	  command -v nginx >/dev/null || need="$$need nginx-light"; \
	  [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || need="$$need libnginx-mod-stream"; \
	  [ -e /usr/share/mediawiki/index.php ] || need="$$need mediawiki"; \
	  ls /usr/sbin/php-fpm* >/dev/null 2>&1 || need="$$need php-fpm"; \
	  php -m 2>/dev/null | grep -q pdo_sqlite || need="$$need php-cli php-sqlite3"; \
	  [ -n "$$(ls /usr/lib/*/varnish/vmods/libvmod_vsthrottle.so 2>/dev/null)" ] || need="$$need varnish-modules"; \
	  command -v clang-19 >/dev/null && command -v llvm-strip-19 >/dev/null || need="$$need clang-19 llvm-19"; \
	  for p in slowhttptest:slowhttptest ip:iproute2 curl:curl openssl:openssl python3:python3 haproxy:haproxy varnishd:varnish fail2ban-server:fail2ban nft:nftables \
	    systemd-analyze:systemd buildah:buildah rpm:rpm zsh:zsh fish:fish mandoc:mandoc strace:strace nats-server:nats-server; do \
	    command -v $${p%:*} >/dev/null || need="$$need $${p#*:}"; done; \
	  if [ -n "$$need" ]; then apt-get update -q && apt-get install -q -y --no-install-recommends $$need; fi; \
	else echo "not root: tests that need Debian packages say so and are left out"; fi

release: ## dist/: binaries, .deb, .rpm, bills of materials, sums; the same bytes from the same commit
	packaging/release.sh dist

image: release ## a container image for each architecture, from nothing but the binary (Debian: buildah)
	@for f in dist/deich-*-linux-*.tar.gz; do \
	  arch=$${f%.tar.gz}; packaging/image.sh $$f deich:$${arch##*-} || exit 1; done

clean:
	rm -rf bin dist
