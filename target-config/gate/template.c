// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The template (docs/decisions/0001-sealed-template.md): a device with a write cache that fails every read and write where gates
 * use it. `0 8 linear <loop> 0` gives it the write cache, `8 ... error` is what a closed gate leads to with its first sectors and
 * a holding one with the others, hence as long as the longest volume. The loop device is on a
 * memfd that is sealed against writing; it is found again by the memfd's name, so a restarted agent makes no second one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/gate/dm.h"
#include "target-config/gate/gate.h"

#define TEMPLATE_DEVICE "lunward.template" /* no volume's gate: those begin with "lunward-" */
#define TEMPLATE_UUID "LUNWARD.template"
#define TEMPLATE_NAME "lunward-template"
#define TEMPLATE_BACKING "/memfd:" TEMPLATE_NAME " (deleted)\n"
#define TEMPLATE_SIZE 65536
#define TEMPLATE_ERROR_SECTORS (1ull << 42) /* 2 PiB: twice what DRBD can replicate */
#define MODPROBE_DEADLINE_MS 30000
#define LOOP_ATTEMPTS 16 /* another program may take the free device first */

static bool is_template(const char *loop_name)
{
	_cleanup_free_ char *path = xasprintf("/sys/block/%s/loop/backing_file", loop_name);
	_cleanup_free_ char *backing = NULL;

	return file_read(path, 4096, &backing, NULL) == 0 && strcmp(backing, TEMPLATE_BACKING) == 0;
}

/* Is there one already? */
static bool find_loop(char ret_path[64])
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "loop", 4) == 0 && is_template(entry->d_name)) {
			snprintf(ret_path, 64, "/dev/%.58s", entry->d_name);
			return true;
		}
	}
	return false;
}

/*
 * The seals come after the descriptor is open for writing: a loop device on a descriptor that can be written has a write cache
 * (loop_configure), but each write to it then fails with EPERM in shmem_write_begin().
 */
static int make_memfd(struct err *err)
{
	_cleanup_close_ int fd = memfd_create(TEMPLATE_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_errno(err, -errno, "cannot make the template's memory file");
	if (ftruncate(fd, TEMPLATE_SIZE) < 0)
		return err_errno(err, -errno, "cannot size the template's memory file");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		return err_errno(err, -errno, "cannot seal the template's memory file");
	return steal_fd(&fd);
}

/* Binds the memfd to a free loop device. -EBUSY: somebody was faster. */
static int bind_loop(int control_fd, int memfd, char ret_path[64], struct err *err)
{
	struct loop_config config = { .fd = (uint32_t)memfd, .block_size = 512 };
	_cleanup_close_ int fd = -1;
	char path[64];
	int number = ioctl(control_fd, LOOP_CTL_GET_FREE);

	if (number < 0)
		return err_errno(err, -errno, "no free loop device for the template");
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, -errno, "cannot open %s for the template", path);
	snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s", TEMPLATE_NAME);
	if (ioctl(fd, LOOP_CONFIGURE, &config) < 0)
		return err_errno(err, -errno, "cannot set up %s as the template", path);
	memcpy(ret_path, path, sizeof(path));
	return 0;
}

static int ensure_loop(char ret_path[64], struct err *err)
{
	_cleanup_close_ int control_fd = -1;
	_cleanup_close_ int memfd = -1;
	int rc;

	if (find_loop(ret_path))
		return 0;
	if (access("/dev/loop-control", F_OK) < 0) {
		rc = run_cmdl(err, MODPROBE_DEADLINE_MS, "modprobe", "loop", NULL);
		if (rc < 0) {
			err_prefix(err, "loop devices for the template");
			return rc;
		}
	}
	control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control_fd < 0)
		return err_errno(err, -errno, "cannot open /dev/loop-control");
	memfd = make_memfd(err);
	if (memfd < 0)
		return memfd;
	rc = -EBUSY;
	for (int i = 0; i < LOOP_ATTEMPTS && rc == -EBUSY; i++)
		rc = bind_loop(control_fd, memfd, ret_path, err);
	return rc;
}

static int make_device(const char *loop, const struct dm_info *info)
{
	struct dm_target_line lines[2] = {
		{ .start = 0, .length = GATE_TEMPLATE_SECTORS, .type = "linear" },
		{ .start = GATE_TEMPLATE_SECTORS, .length = TEMPLATE_ERROR_SECTORS, .type = "error" },
	};
	int rc = 0;

	snprintf(lines[0].params, sizeof(lines[0].params), "%.60s 0", loop);
	if (!info->exists)
		rc = dm_create(TEMPLATE_DEVICE, TEMPLATE_UUID);
	if (rc == 0 || rc == -EBUSY)
		rc = dm_load(TEMPLATE_DEVICE, lines, ARRAY_SIZE(lines));
	return rc < 0 ? rc : dm_resume(TEMPLATE_DEVICE);
}

static int ensure_device(char ret_path[64], struct err *err)
{
	struct dm_info info;
	char loop[64];
	int rc = dm_inspect(TEMPLATE_DEVICE, &info);

	if (rc == 0 && (!info.has_live_table || info.suspended || info.lines[1].length != TEMPLATE_ERROR_SECTORS)) {
		rc = ensure_loop(loop, err);
		if (rc < 0)
			return rc;
		rc = make_device(loop, &info);
		if (rc == 0)
			rc = dm_inspect(TEMPLATE_DEVICE, &info);
	}
	if (rc == 0)
		rc = dm_make_node(TEMPLATE_DEVICE, &info);
	if (rc < 0)
		return err_errno(err, rc, "cannot make the gates' template device");
	snprintf(ret_path, 64, "/dev/mapper/%s", TEMPLATE_DEVICE);
	return 0;
}

int gate_template_ensure(char ret_path[64], struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* several workers may ask first */
	int rc;

	pthread_mutex_lock(&lock);
	rc = dm_ready(err);
	/* A table would load it too, but in the middle of the first move. A kernel without it cannot hold: gate_hold() says so. */
	if (rc == 0 && access("/sys/module/dm_delay", F_OK) < 0)
		ignore_result(run_cmdl(NULL, MODPROBE_DEADLINE_MS, "modprobe", "-q", "dm_delay", NULL));
	if (rc == 0)
		rc = ensure_device(ret_path, err);
	pthread_mutex_unlock(&lock);
	return rc;
}
