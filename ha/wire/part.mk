$(eval $(call part,wire,$(wildcard ha/wire/*.c)))
$(eval $(call unit_test,test_ha_wire,tests/unit/test_ha_wire.c,wire base,))
