# Each target installs what it lacks. Everything after npm ci runs under the Node of node_modules, whatever the machine's.
SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

node := node_modules/node-linux-$(shell uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')/bin/node
sources := $(shell find src lease providers host tools -name '*.ts' 2>/dev/null)

# Which program the tests and the bench start, such as dist-release/flannel-vpc-linux-amd64; by default bin/flannel-vpc.
ifdef PROGRAM
export FLANNEL_VPC_PROGRAM := $(abspath $(PROGRAM))
endif

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Always asked, changed only by an installation; what depends on it is stale only then.
node_modules/.installed-from: FORCE
	@tools/install

.PHONY: FORCE
FORCE:

.PHONY: install
install: node_modules/.installed-from ## npm ci, where node_modules is not what package-lock.json says

.PHONY: setup
setup: ## Debian packages, etcd, CNI plugins and LocalStack for the tests (asks sudo where not root)
	tools/setup

.PHONY: setup-browser
setup-browser: ## The same and Chromium, for the tests of the status page
	tools/setup browser

.PHONY: setup-kubernetes
setup-kubernetes: ## An API server and kubectl, built once with Go (make test-kubernetes does it)
	tools/setup-kubernetes

.PHONY: build
build: bin/flannel-vpc ## dist/ and bin/flannel-vpc

bin/flannel-vpc: node_modules/.installed-from $(sources)
	$(node) tools/build.ts

.PHONY: documents
documents: build ## SBOM and third-party licences of what was built (TO=folder, ARCHITECTURES='x64 arm64')
	$(node) tools/release-documents.ts $(or $(TO),dist-documents) $(ARCHITECTURES)

.PHONY: release
release: dist-release/SHA256SUMS ## dist-release/: the program as one file for each architecture (docs/release.md)

dist-release/SHA256SUMS: bin/flannel-vpc
	$(node) tools/release.ts

.PHONY: image
image: ## dist-image/: the Dockerfile built without Docker, its files and settings (root, Debian 12; docs/image.md)
	tools/image

.PHONY: demo
demo: build setup ## A VPC of network namespaces with nodes that join it (CLOUD=aws-vpc, ARGS='...')
	test/fabric/enter.sh $(abspath $(node)) test/fabric/demo.ts --cloud=$(or $(CLOUD),aws-vpc) $(ARGS)

.PHONY: test
test: build release setup-browser ## All test tiers
	$(node) tools/test.ts

.PHONY: test-unit
test-unit: node_modules/.installed-from ## Unit tests: no root, no servers
	$(node) tools/test.ts unit $(if $(ARGS),-- $(ARGS))

.PHONY: test-integration
test-integration: build setup-browser ## Tests against etcd, LocalStack and namespaces (ARGS='path' for some)
	$(node) tools/test.ts integration $(if $(ARGS),-- $(ARGS))

.PHONY: test-e2e
test-e2e: build setup ## The built program on nodes of the namespace VPC (ARGS='path' for some)
	$(node) tools/test.ts e2e $(if $(ARGS),-- $(ARGS))

.PHONY: test-faults
test-faults: build setup ## Faults of stores, clouds and machines while pods talk (ARGS='path', FAULTS=long for the long sizes)
	$(node) tools/test.ts faults $(if $(ARGS),-- $(ARGS))

.PHONY: test-terraform
test-terraform: build setup ## The Terraform modules: applied to LocalStack, read where no provider is (ARGS='path' for some)
	$(node) tools/test.ts terraform $(if $(ARGS),-- $(ARGS))

.PHONY: test-release
test-release: release setup ## The release: one file for each processor, and its documents (ARGS='path' for some)
	$(node) tools/test.ts release $(if $(ARGS),-- $(ARGS))

# tools/test.ts builds the image, unless it is there.
.PHONY: test-image
test-image: build setup ## The image: built without Docker, run by chroot (root, Debian 12; ARGS='path' for some)
	$(node) tools/test.ts image $(if $(ARGS),-- $(ARGS))

# tools/test.ts builds the API server when this tier's turn comes: in `make test`, after all others.
.PHONY: test-kubernetes
test-kubernetes: build setup ## Tests against a real Kubernetes API server (ARGS='path' for some)
	$(node) tools/test.ts kubernetes $(if $(ARGS),-- $(ARGS))

.PHONY: lint
lint: node_modules/.installed-from ## Types, style, imports between folders, hygiene
	$(node) tools/lint.ts

.PHONY: audit
audit: node_modules/.installed-from ## Known vulnerabilities of packages, by npm's registry (Error 3: it gave no answer; ARGS=--registry=URL)
	$(node) tools/audit.ts $(ARGS)

.PHONY: format
format: node_modules/.installed-from ## Rewrites the sources in the project's style
	$(node) node_modules/@biomejs/biome/bin/biome check --write .

.PHONY: bench
bench: build setup ## Counts and ratios held against their budgets (ARGS='...')
	test/fabric/enter.sh $(abspath $(node)) test/bench/main.ts $(ARGS)

.PHONY: reliability
reliability: build setup ## Runs the tests of docs/reliability.md and writes it again (FAULTS=long for the long sizes)
	$(node) tools/reliability.ts --run

.PHONY: clean
clean: ## Removes what was built (not node_modules, not the cache folder)
	rm -rf dist dist-documents dist-image dist-release bin/flannel-vpc
