# The lab of virtual machines; see tests/lab/README.md. Its tools run on the build machine or, from the share, in the guests.
LAB_DIR := $(O)/lab/tools
LAB_TOOLS := $(addprefix $(LAB_DIR)/,lab-switch cpu-loop tsc-khz ack-writer ack-dump two-disks path-probe pr-driver)
.PHONY: lab-tools lab-image lab-up lab-ssh lab-down

# What needs no machines.
$(BUILD)/tests/unit/test_lab_kernels:
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s/tests/unit/$(@F).py "$$@"\n' '$(PYTHON)' '$(CURDIR)' >$@
	@chmod +x $@
UNIT_TESTS += $(BUILD)/tests/unit/test_lab_kernels

$(LAB_DIR)/lab-switch: tests/lab/switch/lab-switch.c
$(LAB_DIR)/cpu-loop: tests/lab/tools/cpu-loop.c
$(LAB_DIR)/tsc-khz: tests/lab/tools/tsc-khz.c
$(LAB_DIR)/ack-writer: tests/lab/tools/ack-writer.c tests/lab/tools/block.c tests/lab/tools/block.h
$(LAB_DIR)/ack-dump: tests/lab/tools/ack-dump.c tests/lab/tools/block.c tests/lab/tools/block.h
$(LAB_DIR)/two-disks: tests/lab/tools/two-disks.c
$(LAB_DIR)/path-probe: tests/lab/tools/path-probe.c
$(LAB_DIR)/pr-driver: tests/lab/tools/pr-driver.c
# Static, so that they need nothing of the guest; libiscsi's dependencies are not to be had that way, but the guest has them.
$(LAB_TOOLS): LAB_LINK := -static
$(LAB_DIR)/path-probe $(LAB_DIR)/pr-driver: LAB_LINK := -liscsi
$(LAB_TOOLS):
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu11 $(OPT) $(WARN) -Werror -D_GNU_SOURCE -pthread -o $@ $(filter %.c,$^) $(LAB_LINK)

lab-tools: $(LAB_TOOLS)

lab-image:
	$(Q)tests/lab/labctl image

# With the packages under test, if they were built: make deb lab-up.
lab-up: lab-tools
	$(Q)O=$(O) tests/lab/labctl up

lab-ssh:
	$(Q)O=$(O) tests/lab/labctl ssh $(or $(NODE),n1)

lab-down:
	$(Q)O=$(O) tests/lab/labctl down
