/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A loop over independent items on several threads. Blocks until all are done. */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/err.h"

/* fn(ctx, i, err) for i in [0, n) on at most `threads` threads (1: in the caller's). All items run even if one fails.
 * Returns 0 or the result of the failed item with the lowest index, its text in *err. */
int parallel_for(size_t n, unsigned int threads, int (*fn)(void *ctx, size_t index, struct err *err), void *ctx,
		 struct err *err) must_check;

#endif
