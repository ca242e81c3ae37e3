/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes and small macros every part uses. libc only. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* For a result that must be looked at elsewhere, where there is nothing left to do about it: says so to the reader. */
#define ignore_result(call)                                                                                            \
	do {                                                                                                           \
		__typeof__(call) ignored_ = (call);                                                                    \
		(void)ignored_;                                                                                        \
	} while (0)

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif
