# SPDX-License-Identifier: GPL-2.0-or-later
# One non-recursive makefile. Each folder's part.mk names its sources and what they may use; nothing else is searched.
#
#   make                     everything, into $(O)
#   make unit                unit and property tests: seconds, no root
#   make lint                static analysis, house rules (tests/policy), packaging
#   make check               all tests of the tree (as root: builds the lab); STAGES="unit-gcc lint" for some, see tests/check
#   make deb                 the Debian package, into $(O)/deb
#   make install DESTDIR=...
#   make SAN=address,undefined unit
#   make WERROR=1            warnings are errors (CI)
#   make V=1                 show commands

O ?= build
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

VERSION := $(shell cat VERSION)
PREFIX ?= /usr
SYSCONFDIR ?= /etc
LIBEXECDIR ?= $(PREFIX)/libexec/lunward
# Debian 12 looks for units of a package here only.
UNITDIR ?= /lib/systemd/system
PYTHON ?= /usr/bin/python3
PYTEST = $(PYTHON) -m pytest -q -rfEs -p no:cacheprovider

ifeq ($(origin CC),default)
CC := gcc
endif
OPT ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wunused-result
HARDEN := -fno-common -fstack-protector-strong -D_FORTIFY_SOURCE=2
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
# A sanitised or differently compiled tree gets a folder of its own, so that objects never mix.
comma := ,
BUILD := $(O)/$(notdir $(CC))$(if $(SAN),-san-$(subst $(comma),-,$(SAN)))

ALL_CFLAGS := -std=gnu11 -I. $(OPT) $(WARN) $(HARDEN) $(if $(WERROR),-Werror) -MMD -MP -pthread \
	-D_GNU_SOURCE -DLUNWARD_VERSION='"$(VERSION)"' -DLUNWARD_LIBEXECDIR='"$(LIBEXECDIR)"' $(SAN_FLAGS) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS := -pthread $(SAN_FLAGS) $(LDFLAGS)

pkg_cflags = $(shell pkg-config --cflags $(1))
pkg_libs = $(if $(strip $(1)),$(shell pkg-config --libs $(1)))

.PHONY: all unit clean deps compile check man install deb
all:

# --- parts -----------------------------------------------------------------------------------------------------------
# A part is a static library: $(call part,NAME,SOURCES). The rule that keeps dependencies one-way is a check
# (tests/policy), run by `make lint`.
define part
$(1)_OBJ := $$(patsubst %.c,$$(BUILD)/%.o,$(2))
$$(BUILD)/lib$(1).a: $$($(1)_OBJ)
ALL_OBJ += $$($(1)_OBJ)
endef

# A program: $(call prog,PATH,SOURCES,PARTS,PKG-CONFIG NAMES).
define prog
$(notdir $(1))_OBJ := $$(patsubst %.c,$$(BUILD)/%.o,$(2))
$$(BUILD)/$(1): $$($(notdir $(1))_OBJ) $$(foreach p,$(3),$$(BUILD)/lib$$(p).a)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$($(notdir $(1))_OBJ) \
		-Wl,--start-group $$(foreach p,$(3),$$(BUILD)/lib$$(p).a) -Wl,--end-group $$(call pkg_libs,$(4)) $(5)
ALL_OBJ += $$($(notdir $(1))_OBJ)
endef

# A cmocka program below tests/unit: $(call unit_test,NAME,SOURCES,PARTS,PKG-CONFIG NAMES,LINK FLAGS).
define unit_test
$(call prog,tests/unit/$(1),$(2),$(3),cmocka $(4),$(5))
UNIT_TESTS += $$(BUILD)/tests/unit/$(1)
endef

include $(sort $(wildcard */part.mk) $(wildcard */*/part.mk) $(wildcard */*/*/part.mk))

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) -c -o $@ $<

$(BUILD)/%.a:
	$(call say,AR,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

PKG_CFLAGS := $(call pkg_cflags,$(sort $(PKGS)))

all: $(PROGRAMS)

unit: $(UNIT_TESTS) $(PROGRAMS)
	$(Q)tests/run-unit $(UNIT_TESTS)

# Everything that has a compiler's opinion, run or not.
compile: $(ALL_OBJ) $(PROGRAMS) $(UNIT_TESTS)

check:
	$(Q)tests/check $(STAGES)

deps:
	$(Q)packaging/install-build-deps

# --- lint, manual pages, installation, package -----------------------------------------------------------------------------
include packaging/lint.mk

MAN := $(patsubst docs/man/%.scd,$(O)/man/%,$(wildcard docs/man/*.scd))
man: $(MAN)
$(O)/man/%: docs/man/%.scd
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(Q)scdoc <$< >$@.tmp && mv $@.tmp $@

# What of PROGRAMS an operator or systemd starts, and what other programs start.
SBIN_PROGRAMS = $(filter $(addprefix $(BUILD)/,lunwardd lunward lunward-probe),$(PROGRAMS))
LIBEXEC_PROGRAMS = $(filter $(BUILD)/drbd-fence-peer $(BUILD)/lunward-health $(BUILD)/pr-keeper,$(PROGRAMS))
COMPLETION := agent/cli/completion/lunward probe/completion/lunward-probe
put = $(if $(2),install -d $(DESTDIR)$(3) && install -m $(1) $(2) $(DESTDIR)$(3)/)
install: all man
	$(call put,755,$(SBIN_PROGRAMS),$(PREFIX)/sbin)
	$(call put,755,$(LIBEXEC_PROGRAMS) packaging/systemd/handover,$(LIBEXECDIR))
	$(call put,644,$(filter %.5,$(MAN)),$(PREFIX)/share/man/man5)
	$(call put,644,$(filter %.7,$(MAN)),$(PREFIX)/share/man/man7)
	$(call put,644,$(filter %.8,$(MAN)),$(PREFIX)/share/man/man8)
	$(call put,644,$(COMPLETION),$(PREFIX)/share/bash-completion/completions)
	$(call put,644,$(filter-out %/handover,$(wildcard packaging/systemd/*)),$(UNITDIR))
	$(call put,755,$(filter-out %.mk,$(wildcard resource-agents/*)),$(PREFIX)/lib/ocf/resource.d/lunward)
	$(call put,644,packaging/sysusers/lunward.conf,$(PREFIX)/lib/sysusers.d)
	$(call put,644,packaging/udev/58-lunward.rules,$(PREFIX)/lib/udev/rules.d)
	$(call put,644,packaging/sysctl/60-lunward.conf,$(PREFIX)/lib/sysctl.d)

deb:
	$(Q)packaging/build-deb $(O)

clean:
	rm -rf $(O)

-include $(ALL_OBJ:.o=.d)
