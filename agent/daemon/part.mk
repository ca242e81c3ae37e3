$(eval $(call prog,lunwardd,$(wildcard agent/daemon/*.c),\
	core wire transport fence watchdog ctl lio gate backend portal pr prfs config base,\
	libqb libcpg libvotequorum libcmap libcorosync_common jansson libsystemd devmapper libnl-route-3.0 libnl-genl-3.0 libnl-3.0))
PROGRAMS += $(BUILD)/lunwardd
PKGS += libqb libsystemd jansson
$(eval $(call unit_test,test_roles,tests/unit/test_roles.c agent/daemon/roles.c,,))
$(eval $(call unit_test,test_slot_file,tests/unit/test_slot_file.c agent/daemon/slot_file.c,wire base,))
$(eval $(call unit_test,test_loop,tests/unit/test_loop.c agent/daemon/loop.c,base,libqb))
$(eval $(call unit_test,test_settings,tests/unit/test_settings.c agent/daemon/settings.c,base,))
$(eval $(call unit_test,test_health_rules,tests/unit/test_health_rules.c agent/daemon/health_rules.c,base,))
$(eval $(call unit_test,test_pool_rules,tests/unit/test_pool_rules.c agent/daemon/pool_rules.c,base,))
