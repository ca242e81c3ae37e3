// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <stdio.h>

static void log_to_stderr(enum log_level level, const char *text)
{
	fprintf(stderr, "<%d>%s\n", (int)level, text);
}

static log_sink_fn *current_sink = log_to_stderr;
static enum log_level current_level = LOG_LEVEL_INFO;

void log_set_sink(log_sink_fn *sink)
{
	current_sink = sink ? sink : log_to_stderr;
}

void log_set_level(enum log_level level)
{
	current_level = level;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (level > current_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	current_sink(level, text);
}
