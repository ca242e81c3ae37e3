$(eval $(call part,watchdog,$(wildcard ha/watchdog/*.c)))
$(eval $(call unit_test,test_watchdog,tests/unit/test_watchdog.c,watchdog base,,-Wl$(comma)--wrap=ioctl))
