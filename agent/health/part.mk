$(eval $(call prog,lunward-health,$(wildcard agent/health/*.c),base,libiscsi jansson))
PROGRAMS += $(BUILD)/lunward-health
PKGS += libiscsi
$(eval $(call unit_test,test_health_look,tests/unit/test_health_look.c agent/health/look.c agent/health/judge.c,base,jansson))
