$(eval $(call part,lio,$(wildcard target-config/lio/*.c)))
$(eval $(call unit_test,test_lio,tests/unit/test_lio.c tests/unit/fake_configfs.c tests/unit/lio_fixture.c tests/unit/cfs_contract.c,lio config base,jansson))
$(eval $(call unit_test,test_lio_ports,tests/unit/test_lio_ports.c tests/unit/fake_configfs.c tests/unit/lio_fixture.c tests/unit/cfs_contract.c,lio config base,jansson))
$(eval $(call unit_test,test_sessions,tests/unit/test_sessions.c tests/unit/fake_configfs.c tests/unit/lio_fixture.c,lio config base,jansson))
