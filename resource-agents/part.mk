# tests/unit/test_resource_agents.py as a program of tests/run-unit, like the tests of the command.
$(BUILD)/tests/unit/test_resource_agents:
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s %s/tests/unit/test_resource_agents.py "$$@"\n' '$(PYTHON)' '$(CURDIR)' >$@
	@chmod +x $@
UNIT_TESTS += $(BUILD)/tests/unit/test_resource_agents
