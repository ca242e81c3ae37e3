PKGS += jansson
$(eval $(call prog,drbd-fence-peer,$(wildcard agent/drbd-handler/*.c),ctl base,jansson))
PROGRAMS += $(BUILD)/drbd-fence-peer
$(eval $(call unit_test,test_drbd_handler,tests/unit/test_drbd_handler.c agent/drbd-handler/handler.c,ctl base,jansson))
