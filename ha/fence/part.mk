$(eval $(call part,fence,$(wildcard ha/fence/*.c)))
$(eval $(call unit_test,test_fence,tests/unit/test_fence.c,fence base))
