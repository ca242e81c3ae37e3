# Links with libcpg libvotequorum libcmap libcorosync_common.
$(eval $(call part,transport,$(wildcard ha/transport/*.c)))
PKGS += libcpg libvotequorum libcmap
$(eval $(call unit_test,test_transport_queue,tests/unit/test_transport_queue.c,transport base))
$(eval $(call prog,tests/netns/transport-echo,tests/netns/transport-echo.c,transport base,\
	libcpg libvotequorum libcmap libcorosync_common jansson))
NETNS_PROGRAMS += $(BUILD)/tests/netns/transport-echo
