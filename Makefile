# SPDX-License-Identifier: GPL-2.0
# What a person types. The module itself is described in Kbuild, which is all that the kernel's build and DKMS read.

KDIR ?= /lib/modules/$(shell uname -r)/build
K ?= 6.12

all: ## build uksm.ko for KDIR (default: the running kernel)
	@[ -e "$(KDIR)/Makefile" ] || { \
		echo "No kernel headers in $(KDIR)."; \
		echo "Install them (Debian: apt install linux-headers-$$(uname -r)) or name others: make KDIR=/usr/src/..."; \
		exit 1; } >&2
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" modules

demo: ## see it work: a stock kernel in QEMU, real programs, memory before and after
	@scripts/demo.sh

install: ## install into this machine's kernels with DKMS, and load it
	@scripts/install.sh

uninstall: ## undo install
	@scripts/uninstall.sh

deb: ## build the Debian package uksm-dkms (SUITE=trixie: in a chroot of that suite), and print where it is
	@scripts/deb.sh $(SUITE)

dkms-upgrade: ## see DKMS rebuild it when Debian upgrades the kernel, and the old and new kernels merge (long)
	@scripts/dkms-upgrade.sh

test: ## unit tests, then guest tests on stock kernels and a part of them on the debug kernel (DEBUG=no: not that)
	@scripts/test.sh

test-debug: ## all guest tests on the debug kernel (KASAN, lockdep, DEBUG_VM...), built on first use
	@tests/vm/run.sh -j 2 -k debug

test-%: ## all guest tests on one kernel, such as 7.3, 6.12-rt, trixie-6.12-amd64
	@tests/vm/run.sh -j 2 -k $*

matrix: ## all stock kernels, a row each: MATRIX="6.1 trixie-7.3-rt" for these, FULL=1 for all guest tests, J=1 guest at a time
	@scripts/matrix.sh $(if $(J),-j $(J)) $(if $(FULL),-f) $(MATRIX)

vmtest: ## one guest test: T=name, K=kernel
	@[ -n "$(T)" ] || { echo "make vmtest T=name [K=kernel]; the names are those in tests/guest" >&2; exit 1; }
	@tests/vm/run.sh -k $(K) --full-log $(T)

shell: ## an interactive guest with uksm loaded: K=kernel
	@tests/vm/run.sh -k $(K) shell

stress: ## every byte checked while everything happens at once: T=seconds, K=kernel
	@tests/vm/run.sh -k $(K) -T $$(($(or $(T),60) * 2 + 300)) -e STRESS_SECONDS=$(or $(T),60) --full-log stress

storm: ## KVM guests that need far more memory than there is, started one by one: GUESTS SIZE HOST PAUSE (see scripts/storm.sh; long)
	@scripts/storm.sh

mutants: ## plant one bug after the other; the tests must find each
	@scripts/mutants.sh

bench: ## uksm beside ksmd, in instructions: K LOADS="mixed unique" ROUNDS=n PROFILE=1 (see scripts/bench.sh); or GROWTH="1 2 4" (GiB)
	@K="$(K)" LOADS="$(LOADS)" ROUNDS="$(ROUNDS)" PROFILE="$(PROFILE)" OUT="$(OUT)" SCALE="$(SCALE)" ONLY="$(ONLY)" \
		GROWTH="$(GROWTH)" scripts/bench$(if $(GROWTH),-growth).sh

refusals: ## kernels and headers that lack something: each must be refused with one line: K=kernel
	@K=$(K) scripts/refused-builds.sh
	@K=$(K) scripts/refusals.sh

check: ## style and static analysis
	@scripts/check.sh

clean: ## remove what make all built
	rm -f *.o *.ko *.mod *.mod.c .*.cmd Module.symvers modules.order
	find src -name '*.o' -delete -o -name '.*.cmd' -delete

help: ## this
	@sed -nE 's/^([a-z%-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 14

.PHONY: all demo install uninstall deb dkms-upgrade test test-debug matrix vmtest shell stress storm mutants bench refusals check clean help
