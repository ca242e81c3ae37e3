# SPDX-License-Identifier: GPL-2.0-or-later
.PHONY: demo system-check
demo: deps deb lab-tools lab-image
	$(Q)tests/system/demo

# The promises, one after the other, in one lab.
system-check: deb lab-tools lab-image
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider --durations=10 tests/system
