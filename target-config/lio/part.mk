$(eval $(call part,lio,$(wildcard target-config/lio/*.c)))
