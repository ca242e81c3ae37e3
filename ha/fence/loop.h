/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fence loops: a node that is fenced, comes back by itself and is lost again, and again. What this node has fenced is kept in a small file
 * for each node, a line for each time: seconds of the wall clock, level. It outlives this agent, since two nodes that fence each
 * other are both restarted. Only a brake hangs on it, never evidence: a file that is lost or wrong brakes too late or too long.
 */
#ifndef HA_FENCE_LOOP_H
#define HA_FENCE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FENCE_LOOP_WINDOW_S 600

/* Adds a line. Not worth waiting for the disk. Returns -errno if it cannot be written. */
int fence_loop_note(const char *path, int64_t now_s, const char *level);

/* The node has been fenced `limit` times within the window before now_s (0: no limit). */
bool fence_loop_is_on(const char *path, int64_t now_s, size_t limit);

#endif
