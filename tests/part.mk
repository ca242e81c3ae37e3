# Tests that are neither unit tests nor the lab's.
.PHONY: netns

# Real Corosync in network namespaces; needs root.
netns: $(NETNS_PROGRAMS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) $(PYTHON) -m pytest -q -rs -p no:cacheprovider tests/netns

compile: $(NETNS_PROGRAMS)
