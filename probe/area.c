// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/area.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "base/xalloc.h"

/* Where file systems, partition tables and volume managers have their marks: both ends of a device. */
#define EDGE_SIZE (UINT64_C(1) << 20)
#define SYSTEM_FILE_MAX (4u << 20)

/* --- what the system says ----------------------------------------------------------------------------------------------------------*/

static void add_item(struct strbuf *sb, const char *what, const char *name)
{
	strbuf_addf(sb, "%s%s %s", sb->len ? ", " : "", what, name);
}

static void add_holders(struct strbuf *sb, const char *root, dev_t device)
{
	_cleanup_free_ char *path = xasprintf("%s/sys/dev/block/%u:%u/holders", root, major(device), minor(device));
	_cleanup_closedir_ DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			add_item(sb, "part of", entry->d_name);
	}
}

/* Lines of mountinfo: ID PARENT MAJOR:MINOR ROOT WHERE... */
static void add_mounts(struct strbuf *sb, const char *root, dev_t device)
{
	_cleanup_free_ char *path = xasprintf("%s/proc/self/mountinfo", root), *text = NULL;
	char where[256], *rest, *line;
	unsigned int ma, mi;

	if (file_read(path, SYSTEM_FILE_MAX, &text, NULL) < 0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "%*d %*d %u:%u %*s %255s", &ma, &mi, where) == 3 && makedev(ma, mi) == device) /* NOLINT(cert-err34-c): the kernel's own numbers */
			add_item(sb, "mounted at", where);
	}
}

static char *steal_if_any(struct strbuf *sb)
{
	return sb->len ? strbuf_steal(sb) : NULL;
}

char *area_users(const char *root, dev_t device)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };

	add_holders(&sb, root, device);
	add_mounts(&sb, root, device);
	return steal_if_any(&sb);
}

char *area_content(const char *root, dev_t device)
{
	static const char *const marks[] = { "E:ID_FS_TYPE=", "E:ID_PART_TABLE_TYPE=" };
	_cleanup_free_ char *path = xasprintf("%s/run/udev/data/b%u:%u", root, major(device), minor(device)), *text = NULL;
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	char *rest, *line;

	if (file_read(path, SYSTEM_FILE_MAX, &text, NULL) < 0)
		return NULL;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
			if (strncmp(line, marks[i], strlen(marks[i])) == 0)
				strbuf_addf(&sb, "%s%s", sb.len ? ", " : "", line + strlen(marks[i]));
		}
	}
	return steal_if_any(&sb);
}

/* --- reading and writing ------------------------------------------------------------------------------------------------------------*/

int area_read(const struct area *area, uint64_t block, struct block *b)
{
	ssize_t n = pread(area->fd, b, sizeof(*b), (off_t)area_address(area, block));

	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(*b) ? 0 : -EIO;
}

int area_write(const struct area *area, uint64_t block, const struct block *b)
{
	ssize_t n = pwrite(area->fd, b, sizeof(*b), (off_t)area_address(area, block));

	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(*b) ? 0 : -EIO;
}

/* --- opening ------------------------------------------------------------------------------------------------------------------------*/

/* Blocks from byte `from` to byte `to` of the whole device. */
static int scan(const struct area *area, const char *path, uint64_t from, uint64_t to, struct block *b, struct err *err)
{
	const struct area whole = { .fd = area->fd };

	for (uint64_t i = from / PROBE_BLOCK_SIZE; (i + 1) * PROBE_BLOCK_SIZE <= to; i++) {
		int rc = area_read(&whole, i, b);

		if (rc < 0)
			return err_errno(err, rc, "%s: reading what is there at byte %" PRIu64, path, i * PROBE_BLOCK_SIZE);
		if (!block_is_scratch(b))
			return err_set(err, -EEXIST, "%s holds data that is not the probe's, at byte %" PRIu64
				       "; to have it overwritten give its size: --force-scratch-of", path, i * PROBE_BLOCK_SIZE);
	}
	return 0;
}

/* The area itself, and both ends of the device it is on. */
static int scan_content(const struct area *area, const char *path, struct err *err)
{
	_cleanup_free_ struct block *b = aligned_alloc(PROBE_BLOCK_SIZE, sizeof(*b));
	uint64_t edge = MIN(EDGE_SIZE, area->size), end = area->size - area->size % PROBE_BLOCK_SIZE;
	int rc;

	if (!b)
		return err_set(err, -ENOMEM, "out of memory");
	rc = scan(area, path, 0, edge, b, err);
	if (rc == 0)
		rc = scan(area, path, end > EDGE_SIZE ? end - EDGE_SIZE : 0, end, b, err);
	if (rc == 0)
		rc = scan(area, path, area->offset, area_address(area, area->blocks), b, err);
	return rc;
}

static int check_content(const struct area *area, const struct area_wish *wish, const struct stat *st, struct err *err)
{
	_cleanup_free_ char *content = NULL;

	if (wish->force_size) {
		if (wish->force_size != area->size)
			return err_set(err, -EINVAL, "%s: --force-scratch-of %" PRIu64 " is not its size: is this the device you mean?",
				       wish->path, wish->force_size);
		return 0;
	}
	content = S_ISBLK(st->st_mode) ? area_content("", st->st_rdev) : NULL;
	if (content)
		return err_set(err, -EEXIST, "%s holds %s; to have it overwritten give its size: --force-scratch-of", wish->path, content);
	return scan_content(area, wish->path, err);
}

static int device_size(int fd, const struct stat *st, uint64_t *ret_size)
{
	if (!S_ISBLK(st->st_mode)) {
		*ret_size = (uint64_t)st->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
}

static int take_bounds(struct area *area, const struct area_wish *wish, struct err *err)
{
	uint64_t left = area->size > wish->offset ? area->size - wish->offset : 0, length = wish->length;

	if (!length)
		length = MIN(AREA_LENGTH_DEFAULT, left - left % PROBE_BLOCK_SIZE);
	if (length == 0 || length > left)
		return err_set(err, -EINVAL, "%s: %" PRIu64 " bytes from byte %" PRIu64 " on: it has only %" PRIu64, wish->path, length,
			       wish->offset, area->size);
	area->offset = wish->offset;
	area->blocks = length / PROBE_BLOCK_SIZE;
	return 0;
}

static int refuse_busy(const char *path, struct err *err)
{
	_cleanup_free_ char *users = NULL;
	struct stat st;

	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		users = area_users("", st.st_rdev);
	return err_set(err, -EBUSY, "%s is in use: %s", path,
		       users ? users : "mounted, swap, or part of another device; or so is one of its partitions");
}

/* O_EXCL means two things: with O_CREAT a file that was not there; on a block device, that the kernel uses it for nothing: no mount, no
 * swap, no device on top, not on its partitions either. It stays so while we have it. */
static int open_exclusively(const struct area_wish *wish, struct err *err)
{
	int flags = O_RDWR | O_DIRECT | O_CLOEXEC | (wish->sync ? O_DSYNC : 0) | (wish->create ? O_CREAT | O_EXCL : 0);
	struct stat st;
	int fd;

	if (!wish->create) {
		if (stat(wish->path, &st) < 0)
			return err_errno(err, -errno, "%s", wish->path);
		if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
			return err_set(err, -EINVAL, "%s is neither a block device nor a file", wish->path);
		if (S_ISBLK(st.st_mode))
			flags |= O_EXCL;
	}
	fd = open(wish->path, flags, 0600);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return refuse_busy(wish->path, err);
	if (errno == EINVAL)
		return err_set(err, -EINVAL, "%s: its file system cannot read and write past the page cache (O_DIRECT)", wish->path);
	return err_errno(err, -errno, "%s", wish->path);
}

static int check_and_take(struct area *area, const struct area_wish *wish, struct err *err)
{
	struct stat st;
	int rc;

	if (flock(area->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EBUSY, "%s is in use: another program, perhaps a probe, has locked it", wish->path);
	if (wish->create && (ftruncate(area->fd, (off_t)(wish->offset + wish->length)) < 0))
		return err_errno(err, -errno, "%s: making it %" PRIu64 " bytes long", wish->path, wish->offset + wish->length);
	if (fstat(area->fd, &st) < 0)
		return err_errno(err, -errno, "%s", wish->path);
	rc = device_size(area->fd, &st, &area->size);
	if (rc < 0)
		return err_errno(err, rc, "%s: asking for its size", wish->path);
	area->file_system = S_ISBLK(st.st_mode) ? 0 : st.st_dev;
	rc = take_bounds(area, wish, err);
	return rc < 0 ? rc : check_content(area, wish, &st, err);
}

int area_open(struct area *ret, const struct area_wish *wish, struct err *err)
{
	struct area area = { .fd = open_exclusively(wish, err) };
	int rc;

	if (area.fd < 0)
		return area.fd;
	rc = check_and_take(&area, wish, err);
	if (rc < 0) {
		area_close(&area);
		return rc;
	}
	*ret = area;
	return 0;
}

int area_open_to_look(struct area *ret, const char *path, uint64_t offset, uint64_t blocks, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	*ret = (struct area){ .fd = fd, .offset = offset, .blocks = blocks };
	return 0;
}

void area_close(struct area *area)
{
	if (area->fd >= 0)
		close(area->fd);
	area->fd = -1;
}
