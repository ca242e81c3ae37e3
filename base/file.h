/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole files: read with a bound, replace atomically and durably. Blocks on disk I/O: workers only. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/compiler.h"

/* Reads all of `path`, at most max_size bytes (-EFBIG beyond). *ret_data is NUL-terminated beyond its size, caller
 * frees. Works on configfs/sysfs attributes as well as regular files. */
int file_read(const char *path, size_t max_size, char **ret_data, size_t *ret_size) must_check;

/* One write(2) of `data`, no create, no truncate: the way to write a configfs or sysfs attribute. */
int file_write_attr(const char *path, const char *data) must_check;

/* All of `data` to a descriptor, in as many writes as it takes; after an error some of it may be there. */
int file_write_all(int fd, const void *data, size_t size) must_check;

/* Writes path + ".tmp", fsync, rename over path, fsync of the directory: after 0 the new content survives a power cut,
 * after any error the old content is still there. */
int file_replace(const char *path, const void *data, size_t size, mode_t mode) must_check;

/* mkdir -p with `mode` for what has to be made. */
int file_make_dirs(const char *path, mode_t mode) must_check;

#endif
