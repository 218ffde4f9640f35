# pg_reconcile: the PGXS-style front to CMake.
#   make                    build for PG_CONFIG
#   make install DESTDIR=   install
#   make installcheck       pgTAP against the running server that PGHOST, PGPORT, PGUSER ... name
#   make check              everything, in throw-away servers: packages, build, lint, unit, SQL and cluster tests, fuzz
#   make check-version PG_CONFIG=...   build for another PostgreSQL, aside, and run the SQL, documents' and cluster tests on it
#   make lint               what `check` lints
#   make fuzz               every fuzz target for FUZZ_SECONDS
#   make deps-interop       what only interop tests and benchmarks need (DuckDB, through npm)
#   make property           the generated tests, PROPERTY_SETS (10000) data sets each: an hour or so, for the night
#   make bench              see bench/; compares with DuckDB after make deps-interop
#   make demo               three business days in throw-away servers, see docs/demo.md; demo-stop ends them
#   make clean
PG_CONFIG ?= pg_config
BUILD_DIR ?= build
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
PROPERTY_SETS ?= 10000
export PG_CONFIG BUILD_DIR JOBS

.PHONY: all deps deps-interop install installcheck check check-version lint property bench fuzz demo demo-stop clean

all: $(BUILD_DIR)/build.ninja
	cmake --build $(BUILD_DIR) -j $(JOBS)

$(BUILD_DIR)/build.ninja: CMakeLists.txt
	cmake -S . -B $(BUILD_DIR) -G Ninja -DPG_CONFIG=$(PG_CONFIG)

deps:
	@.ci/install_packages.sh

install: all
	DESTDIR=$(DESTDIR) cmake --install $(BUILD_DIR)

installcheck:
	@test/run_pgtap.sh --installcheck

check: deps
	@test/check.sh

# That PostgreSQL needs pg_partman, pgTAP and its own src/test/perl, and nothing of ours.
check-version:
	@BUILD_DIR=$(abspath $(BUILD_DIR))/$(word 2,$(shell $(PG_CONFIG) --version)) STAGES="build sql docs cluster" test/check.sh

lint: deps all
	@test/lint/run.sh

deps-interop:
	@PG_RECONCILE_INTEROP=$(abspath $(BUILD_DIR))/interop .ci/install_interop.sh

# Native against plain SQL, and random histories; `check` runs the same files with few data sets.
property: deps all
	@PROPERTY_SETS=$(PROPERTY_SETS) PG_RECONCILE_HISTORIES=$$(($(PROPERTY_SETS) / 50)) test/run_pgtap.sh test/sql/*propert*.sql

bench: deps all
	@bench/run.sh

fuzz: deps
	@FUZZ_SECONDS=$(FUZZ_SECONDS) test/run_fuzz.sh

demo: deps all
	@demo/run.sh

demo-stop:
	@demo/stop.sh

clean:
	rm -rf $(BUILD_DIR)
