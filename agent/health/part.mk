$(eval $(call prog,lunward-health,$(wildcard agent/health/*.c),base,libiscsi jansson))
PROGRAMS += $(BUILD)/lunward-health
PKGS += libiscsi
$(eval $(call unit_test,test_health_look,tests/unit/test_health_look.c agent/health/look.c agent/health/judge.c,base,jansson))

# With libiscsi, against a target of its own.
$(BUILD)/tests/unit/test_health_program: $(BUILD)/lunward-health
	@printf '#!/bin/sh\nBUILD=%s exec %s %s/tests/unit/$(@F).py "$$@"\n' '$(BUILD)' '$(PYTHON)' '$(CURDIR)' >$@
	@chmod +x $@
UNIT_TESTS += $(BUILD)/tests/unit/test_health_program
