/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A loop over independent items, or runs of items, on several threads. Blocks until all are done. */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/err.h"

/* fn(ctx, i, err) for i in [0, n) on at most `threads` threads (1: in the caller's). All items run even if one fails.
 * Returns 0 or the result of the failed item with the lowest index, its text in *err. */
int parallel_for(size_t n, unsigned int threads, int (*fn)(void *ctx, size_t index, struct err *err), void *ctx,
		 struct err *err) must_check;

/* The same for runs: an item that `follows` the one before it (asked for all but the first) belongs to its run. fn(ctx, start, end, err) does the
 * items [start, end) of one run, in order. */
int parallel_runs(size_t n, unsigned int threads, bool (*follows)(const void *ctx, size_t index),
		  int (*fn)(void *ctx, size_t start, size_t end, struct err *err), void *ctx, struct err *err) must_check;

#endif
