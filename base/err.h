/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An error with a text for the operator, on the caller's stack: no allocation on failure paths.
 *
 * Functions return 0 or a negative errno. Where the operator will read the reason (parsing, validation, planning,
 * applying, the control socket) they take a `struct err *` last and fill it; NULL is allowed and means "no text wanted".
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#include "base/compiler.h"

#define ERR_TEXT_SIZE 512

struct err {
	int code;                 /* negative errno, 0 = no error */
	char text[ERR_TEXT_SIZE]; /* names the object and, where there is one, the remedy; no trailing newline */
};

#define ERR_INIT                                                                                                       \
	{                                                                                                              \
		.code = 0, .text = ""                                                                                  \
	}

/* Sets code and text (cut at ERR_TEXT_SIZE) and returns code, so that `return err_set(e, -EINVAL, ...)` reads well. */
int err_set(struct err *e, int code, const char *fmt, ...) printf_like(3, 4);

/* Like err_set() with ": <strerror of code>" appended. */
int err_errno(struct err *e, int code, const char *fmt, ...) printf_like(3, 4);

/* Puts "<prefix>: " before the text that is there. No result: without an `e` it could only be a wrong one. */
void err_prefix(struct err *e, const char *fmt, ...) printf_like(2, 3);

#endif
