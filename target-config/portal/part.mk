$(eval $(call part,portal,$(wildcard target-config/portal/*.c)))
PKGS += libnl-route-3.0
