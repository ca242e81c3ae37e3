# SPDX-License-Identifier: GPL-2.0-or-later
# Beside what people use today: build/bench.json. All of it takes days under emulation; BENCH="--volumes 1 --times 5" for a part.
.PHONY: bench bench-report bench-target
bench: deb lab-tools lab-image
	$(Q)tests/bench/bench $(BENCH)

# docs/benchmarks from the last results.
bench-report:
	$(Q)$(PYTHON) tests/bench/report.py $(O)/bench.json docs/benchmarks

# The kernel's target of one node: build/bench-target.json. BENCH="--volumes 256 --rounds 2" for a part.
$(eval $(call prog,tests/bench/target-build,tests/bench/target-build.c,lio gate config base,jansson))
bench-target: lab-tools lab-image $(BUILD)/tests/bench/target-build $(BUILD)/lunward
	$(Q)tests/bench/target $(BENCH)
