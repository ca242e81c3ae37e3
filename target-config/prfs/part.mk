$(eval $(call part,prfs,$(wildcard target-config/prfs/*.c)))
$(eval $(call unit_test,test_prfs,tests/unit/test_prfs.c,prfs base,))
