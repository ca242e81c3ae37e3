/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A growing string, always NUL-terminated once something was added. Zero-initialise; strbuf_done() frees. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct strbuf {
	char *s; /* NULL while empty; strbuf_str() is never NULL */
	size_t len;
	size_t cap;
};

void strbuf_add(struct strbuf *sb, const char *s);
void strbuf_add_bytes(struct strbuf *sb, const void *p, size_t size);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) printf_like(2, 3);
/* A time of the wall clock, by ISO 8601 in UTC with milliseconds. */
void strbuf_add_utc(struct strbuf *sb, int64_t wall_ms);
/* The text so far, "" while empty; borrowed, valid until the next call. */
const char *strbuf_str(const struct strbuf *sb);
/* Hands the allocated text to the caller (never NULL) and empties the buffer. */
char *strbuf_steal(struct strbuf *sb) must_check;
void strbuf_reset(struct strbuf *sb);
void strbuf_done(struct strbuf *sb);

#define _cleanup_strbuf_ __attribute__((cleanup(strbuf_done)))

#endif
