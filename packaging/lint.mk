# SPDX-License-Identifier: GPL-2.0-or-later
# make lint: what tools and house rules say of the tree. Zero findings is the only good number. Results are kept per file in
# $(O)/lint, so that a second run looks only at what changed.
.PHONY: lint lint-tidy lint-cppcheck lint-shell lint-python lint-packaging lint-policy

LINT_JOBS := $(shell nproc)

lint:
	$(Q)$(MAKE) --no-print-directory -j$(LINT_JOBS) --output-sync=target -k \
		lint-shell lint-python lint-policy lint-cppcheck lint-tidy lint-packaging

# C files of the parts and tests, as the compiler sees them; what is compiled a second time (tests/netns) is looked at once.
C_SOURCES := $(sort $(patsubst $(BUILD)/%.o,%.c,$(filter-out $(BUILD)/next/%,$(ALL_OBJ))))
TIDY := $(patsubst %.c,$(O)/lint/%.tidy,$(C_SOURCES))
lint-tidy: $(TIDY)
# Tests, thousands of plain lines, are spared the analyzer and the unchecked conversion: sanitizers watch them run.
$(O)/lint/tests/%.tidy: TIDY_FLAGS := --checks='-clang-analyzer-*,-cert-*'
$(O)/lint/base/err.tidy: TIDY_INCLUDE :=
TIDY_INCLUDE := -include packaging/analyzer.h
# The object stands for the headers it was made from.
$(O)/lint/%.tidy: %.c .clang-tidy $(BUILD)/%.o
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $(TIDY_FLAGS) --warnings-as-errors='*' $< -- $(TIDY_INCLUDE) -std=gnu11 -I. -D_GNU_SOURCE -DLUNWARD_VERSION='"0"' \
		-DLUNWARD_LIBEXECDIR='"/"' $(PKG_CFLAGS) -Wall -Wextra >$@.log 2>&1 || { cat $@.log; exit 1; }
	@touch $@

CPPCHECK := cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --std=c11 \
	--library=packaging/cppcheck.cfg \
	--template='{file}:{line}: {severity}: {message} [{id}]' --suppressions-list=packaging/cppcheck-suppressions
lint-cppcheck:
	@mkdir -p $(O)/lint/cppcheck
	$(Q)$(CPPCHECK) -j$(LINT_JOBS) --cppcheck-build-dir=$(O)/lint/cppcheck -I. -D_GNU_SOURCE -DLUNWARD_VERSION='"0"' \
		-DLUNWARD_LIBEXECDIR='"/"' $(C_SOURCES)

# SC2115: an empty variable before a slash; the scripts that remove folders have set -u and fill it themselves.
lint-shell:
	$(Q)tests/policy/scripts sh | xargs -r shellcheck --severity=warning --exclude=SC2115

lint-python:
	$(Q)tests/policy/scripts python | xargs -r $(PYTHON) -m pyflakes

# Debian's view of the packages (the project has no mailing list, and packages of debug symbols take no overrides), rpm's view of the
# spec, Prometheus' view of the alerts.
NO_MAIL := bogus-mail-host,bogus-mail-host-in-debian-changelog
lint-packaging: deb
	$(Q)lintian --allow-root --fail-on error,warning --tag-display-limit 0 --suppress-tags $(NO_MAIL) $(O)/deb/*.deb
	$(Q)rpmspec --define '_topdir $(CURDIR)/$(O)/rpm' --parse packaging/rpm/lunward.spec >/dev/null
	$(Q)rpmlint --config packaging/rpm/rpmlint.toml packaging/rpm/lunward.spec
	$(Q)cd packaging/metrics && promtool check rules lunward-alerts.yml && promtool test rules lunward-alerts-test.yml

# Built twice, at other times and in other folders: the same bytes.
.PHONY: reproducible
reproducible:
	$(Q)packaging/check-reproducible $(O)

# Installed, upgraded, removed and purged in a clean chroot; needs root.
.PHONY: check-install
check-install: deb
	$(Q)packaging/check-install $(O)

# Each check lists what it found and ends with 1 if there was anything.
ARCHIVES = $(wildcard $(BUILD)/lib*.a)
lint-policy: compile
	$(Q)C_SOURCES="$(C_SOURCES)" ARCHIVES="$(ARCHIVES)" PROGRAMS="$(SBIN_PROGRAMS)" CFLAGS="$(PKG_CFLAGS)" tests/policy/run
