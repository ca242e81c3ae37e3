$(eval $(call prog,tests/sim/sim,$(wildcard tests/sim/sim*.c),core wire base,jansson,))
PROGRAMS += $(BUILD)/tests/sim/sim

.PHONY: sim
sim: $(BUILD)/tests/sim/sim
	$(Q)$< --seeds $(or $(SEEDS),5000)

# Broken machines that the simulator must notice (minutes).
.PHONY: sim-mutants
sim-mutants:
	$(Q)tests/sim/mutants
