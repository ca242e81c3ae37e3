$(eval $(call part,config,$(wildcard target-config/model/*.c)))
PKGS += jansson
