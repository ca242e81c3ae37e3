PKGS += jansson
$(eval $(call part,backend,$(wildcard target-config/backend/*.c)))
$(eval $(call unit_test,test_drbd_table,tests/unit/test_drbd_table.c,backend base,jansson))
