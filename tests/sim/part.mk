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

# All states of the model beside the code, by Spin.
.PHONY: sim-model
sim-model:
	$(Q)tests/sim/model --figures $(SIM_FIGURES)

$(eval $(call prog,tests/sim/scale,tests/sim/scale.c,core wire config base,jansson,))
PROGRAMS += $(BUILD)/tests/sim/scale

.PHONY: sim-scale
sim-scale: $(BUILD)/tests/sim/scale
	$(Q)$<
