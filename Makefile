# SPDX-License-Identifier: MIT
# A thin door to meson: `make run` and `make check` work on a fresh Debian 12.
BUILD ?= build
MESON_FLAGS ?= --buildtype=release
FUZZ_SECONDS ?= 60
LONG ?= 3
BOOTS ?= 1000
GUEST = tests/guest/debian

.PHONY: all setup setup-tests build build-tests run check quick deb bench fuzz oracle isa-record soak software portable threads install clean help

all: build

help:
	@echo 'make run      install what is missing, build, boot a Debian kernel to a shell (without a terminal: run a'
	@echo '              command in the guest by run --exec; COMMAND="..." chooses it)'
	@echo 'make check    install, build, run all tests        make bench   measure, side by side with QEMU'
	@echo 'make soak     memtest86+ a whole pass, a whole Debian from a disk, the translator watched, boots and resets with two processors (BOOTS=1000), the fault matrix, deaths (KILLS=3000), a storm (STORM_KILLS=10000): hours'
	@echo 'make quick    unit tests, the decoder, a short round beside this processor: for the inner loop'
	@echo 'make software real programs in the guest, compared with the host, at length (LONG=3)'
	@echo 'make portable all tests of the portable emulator for aarch64 under qemu-user, then a Debian kernel (minutes)'
	@echo 'make threads  several virtual processors of the emulator under ThreadSanitizer'
	@echo 'make build    only build, in BUILD=$(BUILD), as any user (tests too, if their packages are installed)'
	@echo 'make install  install to PREFIX (/usr/local), below DESTDIR if that is set'
	@echo 'make deb      Debian packages, in $(BUILD)/deb'
	@echo 'make oracle   the emulator beside this processor, new cases until Ctrl-C (SEED=... repeats a run)'
	@echo 'make fuzz     each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) (TARGETS="boot frame" chooses; docs/fuzzing.md)'

setup:
	@.ci/setup run

setup-tests:
	@.ci/setup run test

build: setup
	@.ci/configure $(BUILD) $(MESON_FLAGS)
	@ninja -C $(BUILD) --quiet

build-tests: setup-tests
	@.ci/configure $(BUILD) -Dtests=enabled $(MESON_FLAGS)
	@ninja -C $(BUILD) --quiet

# Where tests are configured too, they are not built for this.
run: setup
	@.ci/configure $(BUILD) $(MESON_FLAGS)
	@ninja -C $(BUILD) --quiet product
	@$(GUEST)/run.sh $(BUILD) "$(COMMAND)"

check: build-tests
	@.ci/check $(BUILD)

# For the inner loop: below a minute on two cores.
quick: build-tests
	@meson test -C $(BUILD) --no-rebuild --suite unit --print-errorlogs
	@ninja -C $(BUILD) --quiet tests/decode/decode-walk tests/silicon/silicon
	@$(BUILD)/tests/decode/decode-walk >$(BUILD)/quick.log || { cat $(BUILD)/quick.log; exit 1; }
	@$(BUILD)/tests/silicon/silicon --seed 1 --encodings 40 --quiet >$(BUILD)/quick.log || { cat $(BUILD)/quick.log; exit 1; }

bench: build-tests
	@tests/bench/bench.sh $(BUILD)

fuzz: build-tests
	@ninja -C $(BUILD) --quiet fuzzers
	@tests/fuzz/run.sh long $(BUILD) $(FUZZ_SECONDS) $(TARGETS)

# The emulator without instructions of the host, here and on aarch64.
portable: build-tests
	@test -f $(BUILD)-portable/build.ninja || meson setup $(BUILD)-portable $(MESON_FLAGS) -Dportable=true >/dev/null
	@ninja -C $(BUILD)-portable --quiet all meson-test-prereq
	@meson test -C $(BUILD)-portable --no-rebuild --suite unit --suite oracle
	@tests/cross/check.sh full $(CURDIR) $(CURDIR)/$(BUILD)

threads: build-tests
	@test -f $(BUILD)-threads/build.ninja || \
		meson setup $(BUILD)-threads $(MESON_FLAGS) -Db_sanitize=thread -Db_lundef=false >/dev/null
	@ninja -C $(BUILD)-threads --quiet tests/unit/emu_smp_test tests/mono/mono tests/guest/ipi.bin tests/guest/litmus.bin
	@$(BUILD)-threads/tests/unit/emu_smp_test
	@$(BUILD)-threads/tests/mono/mono --kernel $(BUILD)-threads/tests/guest/ipi.bin --format flat64 --memory 16 --cpus 3 --tier block --seconds 120
	@$(BUILD)-threads/tests/mono/mono --kernel $(BUILD)-threads/tests/guest/litmus.bin --format flat64 --memory 16 --cpus 2 --tier block --seconds 300

# Rounds over all rows of the instruction table, each with another seed; what one verified goes into docs/isa.md.
oracle: build-tests
	@ninja -C $(BUILD) --quiet tests/silicon/silicon
	@tests/silicon/rounds.sh $(BUILD) $(SEED)

isa-record: build-tests
	@ninja -C $(BUILD) --quiet tests/silicon/silicon
	@tests/silicon/rounds.sh record $(BUILD) docs/isa-verified.txt
	@ninja -C $(BUILD) --quiet update-docs

soak: build
	@BUILD=$(BUILD) SOURCE=. python3 tests/e2e/kernels.py long_kexec_to_linux long_xen long_installer long_memtest_pass
	@BUILD=$(BUILD) SOURCE=. python3 tests/e2e/system.py long_whole long_uefi
	@BUILD=$(BUILD) SOURCE=. python3 tests/system/translated.py long_verified long_checked long_changing_code long_compiler
	@ninja -C $(BUILD) --quiet software-programs
	@TIER=verify BUILD=$(BUILD) SOURCE=. python3 tests/software/software.py
	@SMP_BOOTS=$(BOOTS) BUILD=$(BUILD) SOURCE=. python3 tests/e2e/smp.py linux_again_and_again
	@LONG=10 BUILD=$(BUILD) SOURCE=. python3 tests/software/software.py several
	@tests/fault/soak.sh $(BUILD) $(KILLS)
	@tests/deploy/packages.sh $(BUILD)

software: build-tests
	@tests/guest/debian/fetch.sh >/dev/null
	@ninja -C $(BUILD) --quiet software-programs
	@LONG=$(LONG) BUILD=$(BUILD) SOURCE=. python3 tests/software/software.py

install: setup
	@.ci/configure $(BUILD) $(MESON_FLAGS)
	@[ -z "$(PREFIX)" ] || meson configure $(BUILD) --prefix=$(abspath $(PREFIX))
	@ninja -C $(BUILD) --quiet product
	@meson install -C $(BUILD) --no-rebuild

deb: setup
	@systemd/debian/build.sh $(BUILD)/deb

clean:
	rm -rf $(BUILD)
