// SPDX-License-Identifier: GPL-2.0-or-later
/* configfs as the kernel mounts it: plain system calls. */
#include "target-config/lio/cfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"

#define ATTR_SIZE_MAX 65536 /* configfs gives at most a page, sysfs too */
#define LINK_SIZE_MAX 4096
#define CONFIGFS_MOUNT "/sys/kernel/config"
#define CONFIGFS_MAGIC 0x62656570 /* fs/configfs/mount.c */

static bool kernel_exists(struct cfs *fs, const char *path)
{
	struct stat st;

	(void)fs;
	return lstat(path, &st) == 0;
}

static int kernel_mkdir(struct cfs *fs, const char *path)
{
	(void)fs;
	return mkdir(path, 0755) < 0 ? -errno : 0;
}

static int kernel_rmdir(struct cfs *fs, const char *path)
{
	(void)fs;
	return rmdir(path) < 0 ? -errno : 0;
}

static int kernel_read(struct cfs *fs, const char *path, char **ret_text)
{
	(void)fs;
	return file_read(path, ATTR_SIZE_MAX, ret_text, NULL);
}

static int kernel_write(struct cfs *fs, const char *path, const char *text)
{
	(void)fs;
	return file_write_attr(path, text);
}

static int kernel_symlink(struct cfs *fs, const char *target, const char *path)
{
	(void)fs;
	return symlink(target, path) < 0 ? -errno : 0;
}

static int kernel_unlink(struct cfs *fs, const char *path)
{
	(void)fs;
	return unlink(path) < 0 ? -errno : 0;
}

static int kernel_readlink(struct cfs *fs, const char *path, char **ret_target)
{
	char buf[LINK_SIZE_MAX];
	ssize_t len = readlink(path, buf, sizeof(buf) - 1);

	(void)fs;
	if (len < 0)
		return -errno;
	buf[len] = '\0';
	*ret_target = xstrdup(buf);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int kernel_list(struct cfs *fs, const char *path, enum cfs_type type, char ***ret_names, size_t *ret_n)
{
	unsigned char wanted = type == CFS_DIR ? DT_DIR : DT_LNK; /* configfs_readdir fills in d_type */
	_cleanup_closedir_ DIR *dir = opendir(path);
	char **names = NULL;
	size_t n = 0, cap = 0;
	struct dirent *entry;

	(void)fs;
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_type == wanted && entry->d_name[0] != '.')
			*array_push(names, n, cap) = xstrdup(entry->d_name);
	}
	if (n > 1)
		qsort(names, n, sizeof(*names), by_name);
	*ret_names = names;
	*ret_n = n;
	return 0;
}

static const struct cfs_ops kernel_ops = {
	.exists = kernel_exists,
	.mkdir = kernel_mkdir,
	.rmdir = kernel_rmdir,
	.read = kernel_read,
	.write = kernel_write,
	.symlink = kernel_symlink,
	.unlink = kernel_unlink,
	.readlink = kernel_readlink,
	.list = kernel_list,
};

int cfs_mount(struct err *err)
{
	struct statfs st;

	if (statfs(CONFIGFS_MOUNT, &st) == 0 && st.f_type == CONFIGFS_MAGIC)
		return 0;
	if (mount("configfs", CONFIGFS_MOUNT, "configfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 && errno != EBUSY)
		return err_errno(err, -errno, "cannot mount configfs on " CONFIGFS_MOUNT);
	return 0;
}

struct cfs *cfs_kernel(void)
{
	static struct cfs kernel = { .ops = &kernel_ops };

	return &kernel;
}

void cfs_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}
