/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the cluster document share: documents from tests/config-cases, changed copies, parsing that must succeed. */
#ifndef TESTS_UNIT_TEST_CONFIG_H
#define TESTS_UNIT_TEST_CONFIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "target-config/model/config.h"

#define CASES "tests/config-cases"
#define BRIEF CASES "/good/01-brief.json"

DEFINE_CLEANUP(struct config *, config_free);
#define _cleanup_config_ _cleanup_(config_freep)

/* Distinct bytes at each call, the same in each run; parse_file() starts over. */
extern unsigned int random_calls;
void test_random(void *p, size_t size);

char *load(const char *path);
/* A copy with the one occurrence of `from` replaced. Frees the text it was given. */
char *change(char *text, const char *from, const char *to);

struct config *parse(const char *text, const struct config *old);
struct config *parse_file(const char *path);
/* Refused with -EINVAL and this text; *ret_config stays as it was. */
void assert_refused(const char *text, const struct config *old, const char *expected);

#endif
