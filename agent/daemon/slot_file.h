/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of which each version is durable as soon as it is written, at the price of one flush of the disk: two slots, allocated
 * once and overwritten in turn, the elder first. Replacing a file by rename(2) costs two commits of the file system's journal instead,
 * which is what a takeover, or a host's PERSISTENT RESERVE OUT, would wait for. What only adds to a version is appended to its slot, as
 * long as there is room.
 *
 * A write that is broken off leaves the other slot, and with it the version before; one of an appended part leaves what was there before
 * that part. A version, or a part, counts once slot_file_write() or slot_file_append() has said so.
 */
#ifndef AGENT_DAEMON_SLOT_FILE_H
#define AGENT_DAEMON_SLOT_FILE_H

#include <stddef.h>

#include "base/compiler.h"

struct slot_file;

/*
 * Reads what is there, a version and what was appended to it as one: *ret_data, allocated, or NULL and size 0 if there is no file. A file
 * without any slot is given as it is: one of an earlier release, which the next write replaces, or damaged, which is for the caller to find
 * out. -EFBIG: a version of more than `limit` bytes. -EPROTONOSUPPORT: a later release has written it; it is left as it is.
 * Blocks. The caller owns *ret (slot_file_close()) and *ret_data.
 */
int slot_file_open(const char *path, size_t limit, struct slot_file **ret, char **ret_data, size_t *ret_size) must_check;
/* On the disk when it returns 0. On an error the version before is still there, or this one; the next call writes to the same place.
 * Blocks, as long as the disk does. One call at a time. */
int slot_file_write(struct slot_file *file, const void *data, size_t size) must_check;
/* Likewise, after the last version and what was appended to it before. -EFBIG: there is no room, or no version to append to: write it whole.
 * So after any error of either. */
int slot_file_append(struct slot_file *file, const void *data, size_t size) must_check;
void slot_file_close(struct slot_file *file);

#endif
