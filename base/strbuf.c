// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

static void reserve(struct strbuf *sb, size_t more)
{
	size_t need = sb->len + more + 1;

	if (need <= sb->cap)
		return;
	sb->cap = MAX(need, sb->cap * 2);
	sb->s = xreallocarray(sb->s, sb->cap, 1);
}

void strbuf_add_bytes(struct strbuf *sb, const void *p, size_t size)
{
	reserve(sb, size);
	if (size)
		memcpy(sb->s + sb->len, p, size);
	sb->len += size;
	sb->s[sb->len] = '\0';
}

void strbuf_add(struct strbuf *sb, const char *s)
{
	strbuf_add_bytes(sb, s, strlen(s));
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		abort();
	reserve(sb, (size_t)len);
	va_start(ap, fmt);
	vsnprintf(sb->s + sb->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	sb->len += (size_t)len;
}

void strbuf_add_utc(struct strbuf *sb, int64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[32];

	if (!gmtime_r(&s, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		text[0] = '\0';
	strbuf_addf(sb, "%s.%03dZ", text, (int)(wall_ms % 1000));
}

const char *strbuf_str(const struct strbuf *sb)
{
	return sb->s ? sb->s : "";
}

char *strbuf_steal(struct strbuf *sb)
{
	reserve(sb, 0);
	sb->s[sb->len] = '\0';
	sb->len = 0;
	sb->cap = 0;
	return steal_ptr(sb->s);
}

void strbuf_reset(struct strbuf *sb)
{
	sb->len = 0;
	if (sb->s)
		sb->s[0] = '\0';
}

void strbuf_done(struct strbuf *sb)
{
	free(sb->s);
	*sb = (struct strbuf){ 0 };
}
