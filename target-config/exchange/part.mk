$(eval $(call part,exchange,$(wildcard target-config/exchange/*.c)))
PKGS += jansson
