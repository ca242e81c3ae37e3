// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Device-mapper by its ioctls. Not libdevmapper: that keeps one process-wide list of pending node operations and one control
 * descriptor without locks, while a resume that drains a slow disk must not hold up other gates in other threads.
 *
 * udev is told to leave gates alone (the flags of dm_task_set_cookie(3) in the event number): blkid, LVM and multipath would
 * open and read what belongs to hosts. So /dev/mapper/<name> is made here as well.
 */
#include "target-config/gate/dm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/major.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"

#define BUFFER_SIZE 4096
#define MODPROBE_DEADLINE_MS 30000
#define MAPPER_CTRL_MINOR 236 /* include/linux/miscdevice.h */
#define LIST_SIZE_MAX (16u << 20)

/* 10-dm.rules takes the upper half of the cookie as DM_UDEV_* flags; a lower half of 0 means that nobody waits. */
#define UDEV_DISABLE_DM_RULES 0x0001u
#define UDEV_DISABLE_SUBSYSTEM_RULES 0x0002u
#define UDEV_DISABLE_DISK_RULES 0x0004u
#define UDEV_DISABLE_OTHER_RULES 0x0008u
#define UDEV_EVENT                                                                                                     \
	((UDEV_DISABLE_DM_RULES | UDEV_DISABLE_SUBSYSTEM_RULES | UDEV_DISABLE_DISK_RULES | UDEV_DISABLE_OTHER_RULES)   \
	 << 16)

/* 4.0.0 is the oldest interface version a kernel of ours has; the kernel checks the major number only. */
static struct dm_ioctl *request(size_t size, const char *name, uint32_t flags)
{
	struct dm_ioctl *dmi = xcalloc(1, size);

	dmi->version[0] = 4;
	dmi->data_size = (uint32_t)size;
	dmi->data_start = sizeof(*dmi);
	dmi->flags = flags;
	if (name)
		snprintf(dmi->name, sizeof(dmi->name), "%s", name);
	return dmi;
}

/* Signals stay outside: one that ends the wait for bios in flight makes a resume throw its new table away (do_resume). */
static int control(unsigned long command, struct dm_ioctl *dmi)
{
	_cleanup_close_ int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	sigset_t all, before;
	int rc;

	if (fd < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = ioctl(fd, command, dmi) < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static int simple(unsigned long command, const char *name, uint32_t flags, uint32_t event)
{
	_cleanup_free_ struct dm_ioctl *dmi = request(BUFFER_SIZE, name, flags);

	dmi->event_nr = event;
	return control(command, dmi);
}

/* What udev does on a whole system: the node of a misc device with a fixed number (dm_misc, MAPPER_CTRL_MINOR). */
int dm_ready(struct err *err)
{
	int rc;

	if (access("/dev/mapper/control", F_OK) == 0)
		return 0;
	rc = run_cmdl(err, MODPROBE_DEADLINE_MS, "modprobe", "dm_mod", NULL);
	if (rc < 0) {
		err_prefix(err, "device-mapper");
		return rc;
	}
	if (access("/dev/mapper/control", F_OK) == 0)
		return 0;
	rc = file_make_dirs("/dev/mapper", 0755);
	if (rc == 0 && mknod("/dev/mapper/control", S_IFCHR | 0600, makedev(MISC_MAJOR, MAPPER_CTRL_MINOR)) < 0 && errno != EEXIST)
		rc = -errno;
	return rc < 0 ? err_errno(err, rc, "cannot make /dev/mapper/control") : 0;
}

/* --- looking -----------------------------------------------------------------------------------------------------------*/

static void take_lines(const struct dm_ioctl *dmi, struct dm_info *info)
{
	const char *data = (const char *)dmi + dmi->data_start;
	size_t offset = 0;

	info->n_lines = dmi->target_count;
	for (size_t i = 0; i < MIN(info->n_lines, (size_t)DM_LINES_MAX); i++) {
		struct dm_target_spec spec;
		const char *params = data + offset + sizeof(spec);

		memcpy(&spec, data + offset, sizeof(spec));
		info->lines[i].start = spec.sector_start;
		info->lines[i].length = spec.length;
		snprintf(info->lines[i].type, sizeof(info->lines[i].type), "%.15s", spec.target_type);
		snprintf(info->lines[i].params, sizeof(info->lines[i].params), "%s", params);
		offset = spec.next; /* from the start of the data, in an answer */
	}
}

int dm_inspect(const char *name, struct dm_info *ret_info)
{
	_cleanup_free_ struct dm_ioctl *dmi = request(BUFFER_SIZE, name, DM_STATUS_TABLE_FLAG | DM_NOFLUSH_FLAG);
	struct dm_info info = { .exists = true };
	int rc = control(DM_TABLE_STATUS, dmi);

	if (rc == -ENXIO) {
		*ret_info = (struct dm_info){ 0 };
		return 0;
	}
	if (rc < 0)
		return rc;
	snprintf(info.uuid, sizeof(info.uuid), "%.128s", dmi->uuid);
	info.suspended = dmi->flags & DM_SUSPEND_FLAG;
	info.has_live_table = dmi->flags & DM_ACTIVE_PRESENT_FLAG;
	info.has_inactive_table = dmi->flags & DM_INACTIVE_PRESENT_FLAG;
	info.minor = (uint32_t)minor((dev_t)dmi->dev);
	info.major = (uint32_t)major((dev_t)dmi->dev);
	if (dmi->flags & DM_BUFFER_FULL_FLAG)
		info.n_lines = DM_LINES_MAX + 1;
	else if (info.has_live_table)
		take_lines(dmi, &info);
	*ret_info = info;
	return 0;
}

int dm_list(void (*fn)(void *ctx, const char *name), void *ctx)
{
	for (size_t size = 65536; size <= LIST_SIZE_MAX; size *= 4) {
		_cleanup_free_ struct dm_ioctl *dmi = request(size, NULL, 0);
		int rc = control(DM_LIST_DEVICES, dmi);
		const char *p;
		uint32_t next;

		if (rc < 0)
			return rc;
		if (dmi->flags & DM_BUFFER_FULL_FLAG)
			continue;
		p = (const char *)dmi + dmi->data_start;
		do {
			struct dm_name_list entry;

			memcpy(&entry, p, offsetof(struct dm_name_list, name));
			next = entry.next;
			if (entry.dev) /* 0: the list is empty */
				fn(ctx, p + offsetof(struct dm_name_list, name));
			p += next;
		} while (next);
		return 0;
	}
	return -E2BIG;
}

/* --- what tables lead to -----------------------------------------------------------------------------------------------*/

int dm_number(const char *path, char ret_number[32])
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	snprintf(ret_number, 32, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

int dm_path(const char *params, char ret_path[64])
{
	_cleanup_free_ char *uevent = xasprintf("/sys/dev/block/%.*s/uevent", (int)strcspn(params, " "), params);
	_cleanup_free_ char *text = NULL;
	int rc = file_read(uevent, 4096, &text, NULL);
	const char *name;

	if (rc < 0)
		return rc;
	name = strstr(text, "DEVNAME=");
	if (!name)
		return -ENODEV;
	name += strlen("DEVNAME=");
	snprintf(ret_path, 64, "/dev/%.*s", (int)MIN(strcspn(name, "\n"), (size_t)58), name);
	return 0;
}

int dm_flush(const char *params)
{
	char path[64];
	int fd, rc = dm_path(params, path);

	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* --- changing ----------------------------------------------------------------------------------------------------------*/

int dm_create(const char *name, const char *uuid)
{
	_cleanup_free_ struct dm_ioctl *dmi = request(BUFFER_SIZE, name, 0);

	snprintf(dmi->uuid, sizeof(dmi->uuid), "%s", uuid);
	return control(DM_DEV_CREATE, dmi);
}

int dm_load(const char *name, const struct dm_target_line *lines, size_t n)
{
	_cleanup_free_ struct dm_ioctl *dmi = request(BUFFER_SIZE, name, 0);
	char *p = (char *)dmi + dmi->data_start;

	dmi->target_count = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		struct dm_target_spec spec = { .sector_start = lines[i].start, .length = lines[i].length };

		spec.next = sizeof(spec) + sizeof(lines[i].params); /* from this one, in a request; keeps 8 byte alignment */
		memcpy(spec.target_type, lines[i].type, sizeof(spec.target_type));
		memcpy(p, &spec, sizeof(spec));
		memcpy(p + sizeof(spec), lines[i].params, sizeof(lines[i].params));
		p += spec.next;
	}
	return control(DM_TABLE_LOAD, dmi);
}

int dm_clear(const char *name)
{
	return simple(DM_TABLE_CLEAR, name, 0, 0);
}

/* No file system is on a gate, and none of its targets asks for bios back: lockfs and flush have nothing to do. Neither flag
 * shortens the wait for bios that are mapped (__dm_suspend, dm_wait_for_completion). */
#define SWAP_FLAGS (DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG)

int dm_suspend(const char *name)
{
	return simple(DM_DEV_SUSPEND, name, DM_SUSPEND_FLAG | SWAP_FLAGS, 0);
}

int dm_resume(const char *name)
{
	return simple(DM_DEV_SUSPEND, name, SWAP_FLAGS, UDEV_EVENT);
}

static void node_path(const char *name, char ret_path[256])
{
	snprintf(ret_path, 256, "/dev/mapper/%s", name);
}

int dm_remove(const char *name)
{
	char path[256];
	int rc = simple(DM_DEV_REMOVE, name, 0, UDEV_EVENT);

	if (rc < 0 && rc != -ENXIO)
		return rc;
	node_path(name, path);
	(void)unlink(path);
	return 0;
}

int dm_make_node(const char *name, const struct dm_info *info)
{
	dev_t dev = makedev(info->major, info->minor);
	struct stat st;
	char path[256];

	node_path(name, path);
	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev) /* a node, or udev's symbolic link */
		return 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return mknod(path, S_IFBLK | 0600, dev) < 0 ? -errno : 0;
}
