# pg_reconcile: the PGXS-style front to CMake.
#   make                    build for PG_CONFIG
#   make install DESTDIR=   install
#   make installcheck       pgTAP against the server that PGHOST/PGPORT/... name
PG_CONFIG ?= pg_config
BUILD_DIR ?= build
JOBS ?= $(shell nproc)

.PHONY: all install clean

all: $(BUILD_DIR)/build.ninja
	cmake --build $(BUILD_DIR) -j $(JOBS)

$(BUILD_DIR)/build.ninja: CMakeLists.txt
	cmake -S . -B $(BUILD_DIR) -G Ninja -DPG_CONFIG=$(PG_CONFIG)

install: all
	DESTDIR=$(DESTDIR) cmake --install $(BUILD_DIR)

clean:
	rm -rf $(BUILD_DIR)
