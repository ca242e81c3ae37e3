PKGS += jansson
$(eval $(call part,backend,$(wildcard target-config/backend/*.c)))
$(eval $(call unit_test,test_drbd_table,tests/unit/test_drbd_table.c,backend base,jansson))
$(eval $(call unit_test,test_drbd_conf,tests/unit/test_drbd_conf.c,backend config base,jansson))
$(eval $(call unit_test,test_backend,tests/unit/test_backend.c,backend config base,jansson))
$(eval $(call unit_test,test_drbd_proc,tests/unit/test_drbd_proc.c,backend base,jansson))
