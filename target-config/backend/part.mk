PKGS += jansson libnl-genl-3.0 libnl-3.0
$(eval $(call part,backend,$(wildcard target-config/backend/*.c)))
$(eval $(call unit_test,test_drbd_table,tests/unit/test_drbd_table.c,backend base,jansson libnl-genl-3.0 libnl-3.0))
$(eval $(call unit_test,test_drbd_conf,tests/unit/test_drbd_conf.c,backend config base,jansson libnl-genl-3.0 libnl-3.0))
$(eval $(call unit_test,test_backend,tests/unit/test_backend.c,backend config base,jansson libnl-genl-3.0 libnl-3.0))
$(eval $(call unit_test,test_drbd_proc,tests/unit/test_drbd_proc.c,backend config base,jansson libnl-genl-3.0 libnl-3.0))
