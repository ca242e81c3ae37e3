/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether I/O flows through a block device. */
#ifndef AGENT_CLI_FLOW_H
#define AGENT_CLI_FLOW_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Reads the first blocks of each of the devices past all caches, all at once. 0: every read came back. -ETIMEDOUT: one did not by
 * deadline_ms (clock_now_ms() time); the children that wait for it stay behind until the kernel lets them go. */
int flow_check(const char *const *paths, size_t n, int64_t deadline_ms, struct err *err) must_check;

#endif
