$(eval $(call part,base,$(wildcard base/*.c)))
PKGS += jansson
