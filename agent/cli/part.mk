# The parts that need no daemon are a library, so that tests can link them.
$(eval $(call part,cli,$(filter-out agent/cli/main.c,$(wildcard agent/cli/*.c))))
$(eval $(call prog,lunward,agent/cli/main.c,cli ctl exchange lio config probe base,jansson))
PROGRAMS += $(BUILD)/lunward
PKGS += jansson
$(eval $(call unit_test,test_cli_render,tests/unit/test_cli_render.c,cli ctl base,jansson))
$(eval $(call prog,tests/unit/test_cli_server,tests/unit/test_cli_server.c,ctl base,jansson))

# tests/run-unit runs programs: programs that run the Python tests against this build.
CLI_TESTS := $(addprefix $(BUILD)/tests/unit/,test_cli test_cli_site test_cli_exchange test_cli_drill)
$(BUILD)/tests/unit/test_cli_drill: $(BUILD)/lunward-probe $(BUILD)/tests/unit/probe-faults
$(CLI_TESTS): $(BUILD)/lunward $(BUILD)/tests/unit/test_cli_server
	@printf '#!/bin/sh\nBUILD=%s exec %s %s/tests/unit/$(@F).py "$$@"\n' '$(BUILD)' '$(PYTHON)' '$(CURDIR)' >$@
	@chmod +x $@
UNIT_TESTS += $(CLI_TESTS)
$(eval $(call unit_test,test_flow,tests/unit/test_flow.c,cli ctl base,jansson))
$(eval $(call unit_test,test_drill,tests/unit/test_drill.c,cli ctl probe base,jansson))
