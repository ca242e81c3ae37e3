$(eval $(call prog,tests/replay/replay,tests/replay/replay.c,core wire base,jansson))
PROGRAMS += $(BUILD)/tests/replay/replay
