$(eval $(call part,portal,$(wildcard target-config/portal/*.c)))
$(eval $(call unit_test,test_portal,tests/unit/test_portal.c,portal base,libnl-route-3.0))
$(eval $(call unit_test,test_cut,tests/unit/test_cut.c,portal base,libnl-route-3.0))
$(eval $(call unit_test,test_hold,tests/unit/test_hold.c,portal base,libnl-route-3.0))
PKGS += libnl-route-3.0
