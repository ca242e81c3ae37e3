/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to device-mapper: its ioctls (linux/dm-ioctl.h), one per call. Names are those of the devices.
 * Callable from several threads at once; a call on one device may block for long and holds up no other.
 */
#ifndef TARGET_CONFIG_GATE_DM_H
#define TARGET_CONFIG_GATE_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define GATE_TEMPLATE_SECTORS 8 /* one block of 4096: the smallest piece that gives a table its limits */

struct dm_target_line { /* one line of a table */
	uint64_t start, length; /* sectors */
	char type[16];
	char params[64];
};

#define DM_LINES_MAX 4

struct dm_info {
	bool exists, suspended, has_live_table, has_inactive_table;
	uint32_t major, minor;
	char uuid[129]; /* as the maker chose it: tells whose device it is, the name does not */
	struct dm_target_line lines[DM_LINES_MAX]; /* of the live table */
	size_t n_lines;                            /* may be more than DM_LINES_MAX: then it is not a table of ours */
};

/* Loads the module and makes the control node if they are missing. */
int dm_ready(struct err *err) must_check;
/* A missing device is no error: exists = false. */
int dm_inspect(const char *name, struct dm_info *ret_info) must_check;
int dm_create(const char *name, const char *uuid) must_check;
int dm_load(const char *name, const struct dm_target_line *lines, size_t n) must_check;
int dm_clear(const char *name); /* drops the inactive table, if any */
/* No more bios are mapped and those that were are done; new ones wait. */
int dm_suspend(const char *name) must_check;
/* Suspends if need be, puts the inactive table in place if there is one, lets bios go on. */
int dm_resume(const char *name) must_check;
int dm_remove(const char *name) must_check;
/* Makes /dev/mapper/<name> lead to the device. */
int dm_make_node(const char *name, const struct dm_info *info) must_check;
/* "/dev/loop7" -> "7:7": a table by number needs no node at the moment it is loaded. */
int dm_number(const char *path, char ret_number[32]) must_check;
/* The device that a line's params begin with: "147:3 0" -> "/dev/drbd3", as devtmpfs names it. */
int dm_path(const char *params, char ret_path[64]) must_check;
/* What that device has acknowledged goes to stable storage. */
int dm_flush(const char *params) must_check;
int dm_list(void (*fn)(void *ctx, const char *name), void *ctx) must_check;

#endif
