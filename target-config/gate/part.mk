$(eval $(call part,gate,$(wildcard target-config/gate/*.c)))
