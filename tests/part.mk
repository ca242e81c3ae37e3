# Tests that are neither unit tests nor the lab's.
# Clusters at a time: one of them needs a sixth of a core and waits for tokens and timeouts the rest of the time.
NETNS_WORKERS ?= 3

.PHONY: netns netns-stable netns-cuts

# Real Corosync in network namespaces; needs root. T=word: only tests with that in their names.
netns: $(NETNS_PROGRAMS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) $(PYTEST) -n $(NETNS_WORKERS) --durations=10 $(if $(T),-k '$(T)') tests/netns

# Each fault script ten times in a row. TIMES=n: as often; figures, also of a run that is stopped: build/netns.json.
netns-stable: $(NETNS_PROGRAMS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) $(PYTEST) -n $(NETNS_WORKERS) --times=$(or $(TIMES),10) --figures=build/netns.json $(if $(T),-k '$(T)') \
		tests/netns/test_faults.py

# Reservations: the power of the node that has just said GOOD goes, again and again. CUTS=n: as often.
netns-cuts: export CUTS ?= 60
netns-cuts: $(NETNS_PROGRAMS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) $(PYTHON) -m pytest -q -rP -p no:cacheprovider -k just_after_a_good tests/netns

compile: $(NETNS_PROGRAMS)

# The lab's own tests: four virtual machines, a kernel, a cluster, an initiator.
.PHONY: lab-check
lab-check: deb lab-tools lab-image
	$(Q)$(PYTEST) --durations=10 tests/lab
