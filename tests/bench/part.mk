# SPDX-License-Identifier: GPL-2.0-or-later
# Beside what people use today: build/bench.json. All of it takes days under emulation; BENCH="--volumes 1 --times 5" for a part.
.PHONY: bench bench-report
bench: deb lab-tools lab-image
	$(Q)tests/bench/bench $(BENCH)

# docs/benchmarks from the last results.
bench-report:
	$(Q)$(PYTHON) tests/bench/report.py $(O)/bench.json docs/benchmarks
