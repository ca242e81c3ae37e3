$(eval $(call part,core,$(wildcard ha/core/*.c)))
$(eval $(call unit_test,test_ha_core,tests/unit/test_ha_core.c,core wire base,))
$(eval $(call unit_test,test_ha_states,tests/unit/test_ha_states.c,core wire base,))
