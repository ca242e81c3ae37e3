# Fuzz targets: tests/fuzz/fuzz_<target>.c. Each is a unit test over its stored inputs (corpus/<target>), built like everything
# else, and a libFuzzer program of clang's:
#
#   make fuzz T=config [FUZZ_SECONDS=600]     new inputs that reach new code go to $(O)/fuzz/<target>, crashes beside them

FUZZ_SECONDS ?= 60
# $(call fuzz_target,NAME,PARTS,PKG-CONFIG NAMES,SOURCES OF THE PARTS)
define fuzz_target
$(call unit_test,test_fuzz_$(1),tests/fuzz/fuzz_$(1).c tests/fuzz/replay.c,$(2),$(3))
FUZZ_SOURCES_$(1) := $(4)
FUZZ_LIBS_$(1) := $(3)
endef

$(eval $(call fuzz_target,config,config base,jansson,$(wildcard target-config/model/*.c base/*.c)))

$(eval $(call fuzz_target,pr,pr base,,$(wildcard target-config/pr/*.c base/*.c)))

$(eval $(call fuzz_target,wire,wire base,,$(wildcard ha/wire/*.c base/*.c)))

$(eval $(call fuzz_target,frame,ctl base,jansson,$(wildcard agent/ctl/frame.c base/*.c)))

$(eval $(call fuzz_target,drbd,backend config base,jansson libnl-genl-3.0 libnl-3.0,$(wildcard target-config/backend/*.c target-config/model/*.c base/*.c)))

$(eval $(call fuzz_target,session,lio config base,jansson,$(wildcard target-config/lio/*.c target-config/model/*.c base/*.c)))

EXCHANGE_SOURCES := $(wildcard target-config/exchange/*.c target-config/lio/*.c target-config/model/*.c base/*.c)
$(eval $(call fuzz_target,saveconfig,exchange lio config base,jansson,$(EXCHANGE_SOURCES)))
$(eval $(call fuzz_target,scst,exchange lio config base,jansson,$(EXCHANGE_SOURCES)))

.PHONY: fuzz
fuzz:
	@mkdir -p $(O)/fuzz/$(or $(T),config)
	$(call say,FUZZ,$(or $(T),config))
	$(Q)clang -std=gnu11 -I. -O1 -g -D_GNU_SOURCE -DLUNWARD_LIBEXECDIR='"$(LIBEXECDIR)"' -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -pthread \
		$(PKG_CFLAGS) -o $(O)/fuzz/fuzz_$(or $(T),config) tests/fuzz/fuzz_$(or $(T),config).c $(FUZZ_SOURCES_$(or $(T),config)) $(call pkg_libs,$(FUZZ_LIBS_$(or $(T),config)))
	$(Q)$(O)/fuzz/fuzz_$(or $(T),config) -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(O)/fuzz/ \
		$(if $(wildcard tests/fuzz/$(or $(T),config).dict),-dict=tests/fuzz/$(or $(T),config).dict) $(O)/fuzz/$(or $(T),config) tests/fuzz/corpus/$(or $(T),config)
