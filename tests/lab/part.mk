# The lab of virtual machines; see tests/lab/README.md. Its tools run on the build machine or, from the share, in the guests.
LAB_TOOLS := $(addprefix $(O)/lab/tools/,lab-switch cpu-loop)
.PHONY: lab-tools lab-image lab-up lab-ssh lab-down

$(O)/lab/tools/lab-switch: tests/lab/switch/lab-switch.c
$(O)/lab/tools/cpu-loop: tests/lab/tools/cpu-loop.c
$(LAB_TOOLS):
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(OPT) $(WARN) -Werror -D_GNU_SOURCE -pthread -static -o $@ $(filter %.c,$^) $(LAB_LIBS)

lab-tools: $(LAB_TOOLS)

lab-image:
	$(Q)tests/lab/labctl image

# With the packages, if there are any: make deb lab-up.
lab-up: lab-tools
	$(Q)O=$(O) tests/lab/labctl up

lab-ssh:
	$(Q)O=$(O) tests/lab/labctl ssh $(or $(NODE),n1)

lab-down:
	$(Q)O=$(O) tests/lab/labctl down
