# SPDX-License-Identifier: Apache-2.0
#
# The one door.  Each target installs the Debian packages that it lacks, see tools/setup.
#
#   make            build into build/
#   make run        build and start a server; ARGS="--name x" is passed on to it
#   make test       every test, in a plain build and in one with address and undefined-behaviour
#                   sanitizers; ONLY="wire/cbor base/buf" restricts it to the tests named
#   make sim        the simulated cluster: SEEDS (10,000) of them from FIRST (drawn) on
#   make rules      switch off each rule of what servers do among themselves, and show which test
#                   and how many of MUTANTS (2,000) simulated runs it takes to notice
#   make soak       tests that have no end, for SECONDS (an hour): more of everything, other seeds
#   make nodered    Node-RED from npm reads and writes, by a gateway rule and in retained mode
#   make bench      what things cost, some minutes; ARGS="latency guard" restricts it to these
#   make install    install below PREFIX (/usr/local), staged into DESTDIR if given
#   make fuzz       run each fuzz target for SECONDS (60)
#   make model      look at every state of the models of what servers do among themselves;
#                   ARGS="join" restricts it to the runs named
#   make coverage   branch coverage by room
#   make lint       clang's warnings, clang-tidy, cppcheck, gcc's analyzer, the format
#   make format     format the C sources in place
#   make fresh      prove `make run` and `make test` on a Debian 12 with git and make only
#   make clean      remove all build folders but the cache of `make fresh`

PREFIX  ?= /usr/local
DESTDIR ?=
ARGS    ?=
ONLY    ?=
SECONDS ?= 60
SETUP   ?= tools/setup
soak: SECONDS = 3600
SEEDS   ?= 10000
MUTANTS ?= 2000
ifndef FIRST
FIRST := $(shell od -An -N4 -tu4 /dev/urandom | tr -d " ")
endif

MAKEFLAGS += --no-print-directory
SOURCES = find src include tests tools -name '*.[ch]' 2>/dev/null

.PHONY: build run test sim rules soak nodered bench install fuzz model coverage lint format fresh clean

# A first build leaves the tests out, as it does without their packages; `make test` adds them.
build:
	@$(SETUP) build
	@[ -f build/build.ninja ] || tools/configure build -Dtests=disabled
	@tools/configure build
	@tools/quietly ninja -C build

run: build
	@exec build/src/daemon/moat-kvd $(ARGS)

test:
	@$(SETUP) build test
	@tests/run $(addprefix --only ,$(ONLY)) build build-san

sim:
	@$(SETUP) build test
	@tools/configure build -Dtests=enabled
	@tools/quietly ninja -C build
	@build/tests/sim/sim -j 2 --counts --seeds $(FIRST)..$$(($(FIRST) + $(SEEDS) - 1))

rules:
	@$(SETUP) build test
	@tools/configure build -Dtests=enabled
	@tools/quietly ninja -C build
	@tests/rules --seeds $(MUTANTS) --jobs 2 build

soak:
	@$(SETUP) build test
	@tools/configure build -Dtests=enabled
	@tools/quietly ninja -C build
	@tests/soak --seconds $(SECONDS) build

# Node-RED at a broker, from npm, which has to be there.
nodered:
	@$(SETUP) build test
	@tools/configure build -Dtests=enabled
	@tools/quietly ninja -C build
	@/usr/bin/python3 tests/e2e/nodered.py build

bench:
	@$(SETUP) build test
	@tools/configure build -Dbench=true
	@tools/quietly ninja -C build
	@bench/all $(ARGS)

install: build
	@tools/configure build -Dprefix='$(PREFIX)'
	@tools/quietly ninja -C build
	@DESTDIR='$(DESTDIR)' meson install -C build --no-rebuild --quiet

fuzz:
	@$(SETUP) build test fuzz
	@tests/fuzz/run $(SECONDS)

model:
	@$(SETUP) model
	@tests/model/run $(ARGS)

coverage:
	@$(SETUP) build test coverage
	@[ ! -d build-cov ] || find build-cov -name '*.gcda' -delete
	@tests/run build-cov
	@tools/coverage build-cov

lint:
	@$(SETUP) build test lint
	@tools/lint

format:
	@$(SETUP) lint
	@$(SOURCES) | xargs -r clang-format-14 -i

fresh:
	@tools/fresh

clean:
	@rm -rf build build-san build-cov build-fuzz build-clang build-model
