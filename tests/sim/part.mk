$(eval $(call prog,tests/sim/sim,$(wildcard tests/sim/*.c),core wire base,,))
PROGRAMS += $(BUILD)/tests/sim/sim

.PHONY: sim
sim: $(BUILD)/tests/sim/sim
	$(Q)$< --seeds $(or $(SEEDS),5000)
