$(eval $(call part,pr,$(wildcard target-config/pr/*.c)))
$(eval $(call unit_test,test_pr,tests/unit/test_pr.c tests/unit/pr_model.c,pr base,))
