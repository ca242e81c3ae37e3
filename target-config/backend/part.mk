PKGS += jansson
$(eval $(call part,backend,$(wildcard target-config/backend/*.c)))
