$(eval $(call prog,tests/sim/sim,$(wildcard tests/sim/sim*.c),core wire base,jansson,-lm))
PROGRAMS += $(BUILD)/tests/sim/sim

SIM_FIGURES := $(O)/sim.json

# Whole clusters, with all that can go wrong; then the proof that one assumption is one: fencing that lies.
.PHONY: sim sim-long
sim: $(BUILD)/tests/sim/sim
	$(Q)$< --liar --seeds 300
	$(Q)$< --seeds $(or $(SEEDS),20000) --figures $(SIM_FIGURES)

# A million scenarios: about an hour of two cores.
sim-long: $(BUILD)/tests/sim/sim
	$(Q)$< --seeds $(or $(SEEDS),1000000) --figures $(SIM_FIGURES)

# Broken machines that the simulator must notice.
.PHONY: sim-mutants
sim-mutants:
	$(Q)tests/sim/mutants --figures $(SIM_FIGURES)
