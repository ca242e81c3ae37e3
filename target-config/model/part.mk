$(eval $(call part,config,$(wildcard target-config/model/*.c)))
PKGS += jansson
$(foreach t,test_config test_config_assign test_config_cases test_config_diff,\
	$(eval $(call unit_test,$(t),tests/unit/$(t).c tests/unit/test_config_util.c,config base,jansson)))
