# Tests that need a real kernel: run as root in a guest of the lab (or any machine that may lose its kernel target).
$(eval $(call prog,tests/lab/guest/guest_lio,tests/lab/guest/test_lio.c tests/unit/lio_fixture.c tests/unit/cfs_contract.c,\
	lio gate config base,jansson))
$(eval $(call prog,tests/lab/guest/guest_gate,tests/lab/guest/test_gate.c,gate base,jansson))
$(eval $(call prog,tests/lab/guest/guest_watchdog,tests/lab/guest/test_watchdog.c,watchdog base,))
$(eval $(call prog,tests/lab/guest/guest_lvm,tests/lab/guest/test_lvm.c,backend config base,jansson libnl-genl-3.0 libnl-3.0))
PROGRAMS += $(addprefix $(BUILD)/tests/lab/guest/,guest_lio guest_gate guest_lvm guest_watchdog)
