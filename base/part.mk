$(eval $(call part,base,$(wildcard base/*.c)))
PKGS += jansson
$(eval $(call unit_test,test_cpus,tests/unit/test_cpus.c,base))
$(eval $(call unit_test,test_mounts,tests/unit/test_mounts.c,base))
$(eval $(call unit_test,test_thread,tests/unit/test_thread.c,base))
$(eval $(call unit_test,test_run_cmd,tests/unit/test_run_cmd.c,base))
