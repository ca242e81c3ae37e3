# lunwardd with other doors: the same objects, but what would reach device-mapper, configfs, LVM, DRBD and the watchdog reaches the test's world. The
# linker takes what a door defines from here first; a door that is not complete is a symbol defined twice.
netns_doors := $(addprefix tests/netns/doors/,world.c dm.c cfs.c lvm.c drbd.c watchdog.c)
netns_parts := core wire transport fence ctl lio gate backend portal pr prfs config base
netns_pkgs := libqb libcpg libvotequorum libcmap libcorosync_common jansson libsystemd libnl-route-3.0 libnl-genl-3.0 libnl-3.0

$(eval $(call prog,tests/netns/lunwardd-netns,$(wildcard agent/daemon/*.c) $(netns_doors),$(netns_parts),$(netns_pkgs)))
$(eval $(call prog,tests/netns/watchdog-contract,tests/lab/guest/test_watchdog.c $(addprefix tests/netns/doors/,world.c watchdog.c),base,jansson))
$(eval $(call prog,tests/netns/configfs-server,tests/netns/doors/configfs-server.c tests/unit/fake_configfs.c,base,jansson))

# And one that speaks the next minor version of the protocol.
netns_next := $(addprefix $(BUILD)/next/,$(addsuffix .o,ha/wire/state ha/wire/msg))
$(BUILD)/next/%.o: %.c tests/netns/next-minor.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) -include tests/netns/next-minor.h -c -o $@ $<
ALL_OBJ += $(netns_next)
$(BUILD)/libnextwire.a: $(netns_next) $(addprefix $(BUILD)/,$(addsuffix .o,ha/wire/types ha/wire/bytes))
$(eval $(call prog,tests/netns/lunwardd-next,$(wildcard agent/daemon/*.c) $(netns_doors),nextwire $(filter-out wire,$(netns_parts)),$(netns_pkgs)))

$(eval $(call prog,tests/netns/replay-next,tests/replay/replay.c,core nextwire base,jansson))

NETNS_PROGRAMS += $(addprefix $(BUILD)/tests/netns/,lunwardd-netns lunwardd-next replay-next configfs-server watchdog-contract) $(BUILD)/tests/replay/replay
