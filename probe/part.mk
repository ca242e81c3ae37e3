# The probe runs on hosts: libc and base, nothing else.
$(eval $(call part,probe,$(filter-out probe/main.c,$(wildcard probe/*.c))))
$(eval $(call prog,lunward-probe,probe/main.c,probe base,))
PROGRAMS += $(BUILD)/lunward-probe
$(eval $(call unit_test,test_probe_units,tests/unit/test_probe_units.c,probe base,))

# The same program on storage that goes wrong, and the tests that run both.
$(eval $(call prog,tests/unit/probe-faults,probe/main.c tests/unit/probe_faults.c,probe base,,-Wl$(comma)--wrap=area_read -Wl$(comma)--wrap=area_write))
$(BUILD)/tests/unit/test_probe: $(BUILD)/lunward-probe $(BUILD)/tests/unit/probe-faults
	@printf '#!/bin/sh\nBUILD=%s exec %s %s/tests/unit/$(@F).py "$$@"\n' '$(BUILD)' '$(PYTHON)' '$(CURDIR)' >$@
	@chmod +x $@
UNIT_TESTS += $(BUILD)/tests/unit/test_probe
