# SPDX-License-Identifier: GPL-2.0-only
# The one door: `make help`. This file only dispatches; Meson builds user space into build/, Kbuild
# the modules.
SHELL := /bin/bash
FUZZ_SECS ?= 10

.PHONY: all help deps agent demo check check-unit check-tsan check-layers check-docs check-style check-compat check-cli check-interrupt fuzz modules kunit boot bench ringbench deb install clean

all: build/build.ninja
	@ninja -C build --quiet
	@ln -sfn build/compile_commands.json . # where editors look

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

deps: ## install the Debian packages that building and testing need
	@tests/deps

build/build.ninja: | deps
	@meson setup build >/dev/null

build-asan/build.ninja: | deps
	@meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false >/dev/null

agent: ## kvmbus-agent for guests, linked statically: build/kvmbus-agent
	@mkdir -p build && $(CC) -static -Os -std=gnu11 -Wall -Wextra -D_GNU_SOURCE -I. -o build/kvmbus-agent guest-tools/kvmbus-agent.c

demo: deps all ## a stock Debian guest with disk, NIC, heartbeat and clean shutdown, in minutes
	@tests/demo/run

check: ## all kinds of tests, from a bare machine; WIDE=1: with all boot tests that CI runs
	@tests/check

check-unit: build-asan/build.ninja $(if $(T),,check-layers check-docs check-compat) ## unit tests with ASan and UBSan; no root, no KVM. T=host-vsp/net: those whose names have that
	@ALL=$(ALL) tests/unit/run build-asan "$(T)"

check-tsan: ## the same under TSan: our own races; what the guest does to its memory is none
	@[ -e build-tsan/build.ninja ] || meson setup build-tsan -Db_sanitize=thread -Dbuildtype=debugoptimized -Dc_args=-Wno-tsan >/dev/null
	@ALL=$(ALL) tests/unit/run build-tsan "$(T)"

check-layers: ## the arrows between the rooms; names of disks; columns and functions
	@tests/checks/layers.sh
	@tests/checks/disk-names.sh
	@tests/checks/style.py rules

check-docs: ## names that the documents quote exist
	@tests/checks/docs.sh

check-style: ## columns and functions of the whole tree; what clang-format says of changed lines (tests/checks/style.py fix does it)
	@tests/checks/style.py

check-compat: ## what the guest modules ask of kernel headers, on header trees from 5.10 to 7.3
	@tests/checks/compat.sh

check-cli: all ## the command: wrong input, help, manual and completion, VMs that do not answer
	@tests/checks/cli.sh && tests/checks/import.sh && tests/checks/client.sh && tests/checks/exec.sh && tests/checks/vnc.sh && tests/checks/cli-table.sh

check-interrupt: ## an interrupted demo, check, boot or bench leaves no emulator behind
	@tests/checks/interrupt.sh

fuzz: deps ## every fuzz target for FUZZ_SECS=10 seconds. T=ring: this one
	@tests/fuzz/build && tests/fuzz/run $(FUZZ_SECS) $(T)

modules: ## the guest modules against the installed kernel headers, W=1, warnings are errors
	@tests/modules here

kunit: deps ## the guest modules against a scripted host in a kernel with KASAN and lockdep; the mutation check. Half an hour the first time
	@tests/kunit/run core vsc mutants

deb: ## the package for guests, kvmbus-guest, into build/deb
	@packaging/deb

boot: deps all ## boot tests with stock kernels, in the lab where needed. T=net-hot, T="probe cloud 2": those of all lists that begin so
	@T="$(T)" tests/boot/run

bench: deps all ## figures beside QEMU's in one lab boot; prints tables, never fails on a figure
	@tests/perf/run

ringbench: deps all ## the ring natively, beside a cache-line ping-pong
	@tests/perf/ringbench

install: all ## command, man page and completion below DESTDIR
	@meson install -C build --quiet

clean: ## remove what was built
	@rm -rf build build-asan build-tsan compile_commands.json
