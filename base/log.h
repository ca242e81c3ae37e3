/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logging. Only the daemon and the CLI log at info or above; libraries return errors and log at most at debug.
 * The sink is a function: the daemon installs one that writes to the journal, tests one that records.
 * Thread-safe as long as the sink is; log_set_sink() is called once, before threads start.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

#include "base/compiler.h"

enum log_level { /* syslog(3) priorities */
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

typedef void log_sink_fn(enum log_level level, const char *text);

/* NULL restores the default: stderr, with the syslog prefix "<N>" that systemd understands. */
void log_set_sink(log_sink_fn *sink);
/* Messages above this level are dropped before they are formatted. Default LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_err(...) log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
