/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's own settings: command line only; what concerns the cluster is in the replicated document. */
#ifndef AGENT_DAEMON_SETTINGS_H
#define AGENT_DAEMON_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct settings {
	const char *state_dir;    /* /var/lib/lunward: what must survive */
	const char *run_dir;      /* /run/lunward: control socket, dbroot */
	const char *configfs;     /* /sys/kernel/config/target */
	const char *fence_dir;    /* /usr/sbin: where fence agents live */
	const char *health;       /* the program that looks at the own portals (health.h); NULL: none shall */
	const char *trace;        /* NULL: none */
	int start_wait_s;         /* for nodes that may be booting, before they are fenced */
	const char *watchdog_device; /* NULL: none */
	int watchdog_timeout_s;      /* 15 */
	enum log_level log_level;
	int64_t job_deadline_ms;      /* an ownership step that takes longer is reported */
	int64_t provision_deadline_ms; /* zeroing a large volume takes long */
	unsigned int threads;          /* parallelism of bulk work */
};

/* Fills the defaults, then argv. Prints and returns 1 for --help and --version. */
int settings_parse(struct settings *ret_settings, int argc, char **argv, struct err *err) must_check;

#endif
