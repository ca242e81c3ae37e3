# The parts that need no daemon are a library, so that tests can link them.
$(eval $(call part,cli,$(filter-out agent/cli/main.c,$(wildcard agent/cli/*.c))))
$(eval $(call prog,lunward,agent/cli/main.c,cli ctl base,jansson))
PROGRAMS += $(BUILD)/lunward
PKGS += jansson
