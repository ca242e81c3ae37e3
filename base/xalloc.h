/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocation that aborts when memory is out: untested error paths are worse than a restart that reconciles.
 * Every size that comes from outside is bounded by the caller before it gets here.
 */
#ifndef BASE_XALLOC_H
#define BASE_XALLOC_H

#include <stddef.h>

#include "base/compiler.h"

void *xcalloc(size_t count, size_t size) must_check;
void *xreallocarray(void *p, size_t count, size_t size) must_check;
void *xmemdup(const void *p, size_t size) must_check;
char *xstrdup(const char *s) must_check; /* NULL stays NULL */
char *xasprintf(const char *fmt, ...) printf_like(1, 2) must_check;

/* Grows array `a` (count `n`, capacity `cap`, all lvalues) by one and yields a pointer to the new, zeroed element. */
#define array_push(a, n, cap)                                                                                          \
	({                                                                                                             \
		if ((n) == (cap)) {                                                                                    \
			(cap) = (cap) ? (cap) * 2 : 8;                                                                 \
			(a) = xreallocarray((a), (cap), sizeof(*(a)));                                                 \
		}                                                                                                      \
		__builtin_memset(&(a)[(n)], 0, sizeof(*(a)));                                                          \
		&(a)[(n)++];                                                                                           \
	})

#endif
