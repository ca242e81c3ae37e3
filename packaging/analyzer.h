/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For clang's analyzer only (make lint-tidy puts it before each file): that err_set() and its kin return the code they were
 * given. Without it the analyzer tries what would happen if they returned 0, and finds unset out parameters everywhere.
 */
#ifndef PACKAGING_ANALYZER_H
#define PACKAGING_ANALYZER_H

#include "base/err.h"

void err_was_set(struct err *e, const char *fmt, ...) printf_like(2, 3);

#define err_set(e, error, ...) (err_was_set(e, __VA_ARGS__), (error))
#define err_errno(e, error, ...) (err_was_set(e, __VA_ARGS__), (error))

#endif
