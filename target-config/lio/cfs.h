/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to configfs: eight operations on absolute paths. The kernel's own implementation is cfs_kernel(); unit tests put an
 * in-memory tree behind the same table that obeys the kernel's ordering rules (tests/unit/fake_configfs.c).
 * All results are 0 or a negative errno. Calls may come from several threads at once.
 */
#ifndef TARGET_CONFIG_LIO_CFS_H
#define TARGET_CONFIG_LIO_CFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/err.h"

struct cfs;

enum cfs_type { CFS_DIR, CFS_LINK };

struct cfs_ops {
	bool (*exists)(struct cfs *fs, const char *path);
	int (*mkdir)(struct cfs *fs, const char *path);
	int (*rmdir)(struct cfs *fs, const char *path);
	int (*read)(struct cfs *fs, const char *path, char **ret_text);
	int (*write)(struct cfs *fs, const char *path, const char *text);
	int (*symlink)(struct cfs *fs, const char *target, const char *path);
	int (*unlink)(struct cfs *fs, const char *path);
	int (*readlink)(struct cfs *fs, const char *path, char **ret_target);
	int (*list)(struct cfs *fs, const char *path, enum cfs_type type, char ***ret_names, size_t *ret_n);
};

struct cfs { /* first member of whatever stands behind */
	const struct cfs_ops *ops;
};

struct cfs *cfs_kernel(void);
/* The kernel's is there to be used. */
int cfs_mount(struct err *err) must_check;

void cfs_names_free(char **names, size_t n);

#endif
