# Tests that are neither unit tests nor the lab's.
.PHONY: netns

# Real Corosync in network namespaces; needs root.
netns: $(NETNS_PROGRAMS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) $(PYTHON) -m pytest -q -rs -p no:cacheprovider tests/netns

compile: $(NETNS_PROGRAMS)

# The lab's own tests: four virtual machines, a kernel, a cluster, an initiator.
.PHONY: lab-check
lab-check: deb lab-tools lab-image
	$(Q)$(PYTHON) -m pytest -q -rs -p no:cacheprovider --durations=10 tests/lab
