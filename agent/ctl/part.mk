$(eval $(call part,ctl,$(wildcard agent/ctl/*.c)))
PKGS += jansson
$(eval $(call unit_test,test_ctl_frame,tests/unit/test_ctl_frame.c,ctl base,jansson))
$(eval $(call unit_test,test_ctl_server,tests/unit/test_ctl_server.c,ctl base,jansson))
