// SPDX-License-Identifier: GPL-2.0-or-later
#include "ha/fence/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"

#define FILE_SIZE_MAX 65536

/* One line after the other; only those within the window, which ends now: a clock that was set back leaves lines that are still
 * to come, and they count for nothing. */
static const char *next_line(const char **rest, int64_t now_s, int64_t *ret_at_s)
{
	while (*rest && **rest) {
		const char *line = *rest, *end = strchr(line, '\n');

		*rest = end ? end + 1 : NULL;
		*ret_at_s = strtoll(line, NULL, 10);
		if (end && *ret_at_s > now_s - FENCE_LOOP_WINDOW_S && *ret_at_s <= now_s)
			return line;
	}
	return NULL;
}

int fence_loop_note(const char *path, int64_t now_s, const char *level)
{
	_cleanup_free_ char *old = NULL;
	_cleanup_strbuf_ struct strbuf lines = { 0 };
	_cleanup_close_ int fd = -1;
	const char *rest, *line;
	int64_t at_s;

	if (file_read(path, FILE_SIZE_MAX, &old, NULL) < 0)
		old = NULL;
	rest = old;
	while ((line = next_line(&rest, now_s, &at_s)))
		strbuf_addf(&lines, "%.*s\n", (int)strcspn(line, "\n"), line);
	strbuf_addf(&lines, "%lld %s\n", (long long)now_s, level);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	return file_write_all(fd, lines.s, lines.len);
}

bool fence_loop_is_on(const char *path, int64_t now_s, size_t limit)
{
	_cleanup_free_ char *text = NULL;
	const char *rest;
	size_t n = 0;
	int64_t at_s;

	if (!limit || file_read(path, FILE_SIZE_MAX, &text, NULL) < 0)
		return false;
	rest = text;
	while (next_line(&rest, now_s, &at_s))
		n++;
	return n >= limit;
}
