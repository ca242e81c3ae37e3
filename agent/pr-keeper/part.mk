$(eval $(call prog,pr-keeper,$(wildcard agent/pr-keeper/*.c),prfs base,libsystemd))
PROGRAMS += $(BUILD)/pr-keeper
