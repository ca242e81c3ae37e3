$(eval $(call part,gate,$(wildcard target-config/gate/*.c)))
$(eval $(call unit_test,test_gate,tests/unit/test_gate.c target-config/gate/gate.c,base,))
