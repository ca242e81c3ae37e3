# SPDX-License-Identifier: GPL-2.0-or-later
.PHONY: demo system-check lab-pr lab-suites
demo: deps deb lab-tools lab-image
	$(Q)tests/system/demo

# The promises, one after the other, in one lab; `make system-check T=story` for some.
system-check: export LAB_PATIENCE ?= 5
system-check: deb lab-tools lab-image
	$(Q)$(PYTEST) --durations=10 $(if $(T),-k "$(T)") tests/system

# Reservations on real kernels.
lab-pr: deb lab-tools lab-image
	$(Q)tests/system/pr

# All of libiscsi's tests, with Lunward and without; SUITES="--only Read10" for some.
lab-suites: deb lab-tools lab-image
	$(Q)tests/system/suites $(SUITES)
