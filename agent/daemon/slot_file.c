// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/slot_file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "ha/wire/bytes.h"

#define MAGIC "LWSLOT1\n"
#define SLOT_MIN (64u << 10)

struct slot_header { /* little endian, at the beginning of a slot; the data follow */
	char magic[8];
	uint64_t number; /* of the version: the higher is the newer one */
	uint64_t size;
	uint32_t crc; /* of number, size, 0 and the data */
	uint32_t unused;
};

struct slot_file {
	char *path;
	int fd; /* -1: the next write makes the file anew */
	size_t slot_size;
	uint64_t number; /* of the last version that is known to be on the disk, in slot number % 2 */
};

static uint8_t *lay_out(uint64_t number, const void *data, size_t size)
{
	struct slot_header header = { .magic = MAGIC, .number = htole64(number), .size = htole64(size) };
	uint8_t *slot = xcalloc(1, sizeof(header) + size);

	memcpy(slot, &header, sizeof(header));
	if (size)
		memcpy(slot + sizeof(header), data, size);
	header.crc = htole32(bytes_crc32(slot, sizeof(header) + size));
	memcpy(slot, &header, sizeof(header));
	return slot;
}

/* The number of the version in the slot; 0: none, or one whose write was broken off. */
static uint64_t check_slot(const uint8_t *slot, size_t slot_size, size_t *ret_size)
{
	struct slot_header header;
	_cleanup_free_ uint8_t *again = NULL;
	uint64_t number;
	size_t size;

	if (slot_size < sizeof(header))
		return 0;
	memcpy(&header, slot, sizeof(header));
	number = le64toh(header.number);
	size = le64toh(header.size);
	if (memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0 || size > slot_size - sizeof(header))
		return 0;
	again = lay_out(number, slot + sizeof(header), size);
	if (memcmp(again, slot, sizeof(header)) != 0)
		return 0;
	*ret_size = size;
	return number;
}

/* Takes the newer slot out of what the file has. false: there is none. */
static bool take_newer(struct slot_file *file, const char *text, size_t text_size, char **ret_data, size_t *ret_size)
{
	const uint8_t *newest = NULL;
	size_t size;

	file->slot_size = text_size / 2;
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *slot = (const uint8_t *)text + i * file->slot_size;
		uint64_t number = check_slot(slot, file->slot_size, &size);

		if (number % 2 != i || number <= file->number)
			continue;
		file->number = number;
		newest = slot + sizeof(struct slot_header);
		*ret_size = size;
	}
	if (newest)
		*ret_data = xmemdup(newest, *ret_size);
	return newest;
}

int slot_file_open(const char *path, size_t limit, struct slot_file **ret, char **ret_data, size_t *ret_size)
{
	struct slot_file *file;
	char *text = NULL;
	size_t size = 0;
	/* Two slots, each up to twice of what it has. */
	int rc = file_read(path, 4 * limit + 2 * SLOT_MIN, &text, &size);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	file = xcalloc(1, sizeof(*file));
	file->path = xstrdup(path);
	file->fd = -1;
	*ret_data = NULL;
	*ret_size = 0;
	if (text && !take_newer(file, text, size, ret_data, ret_size)) {
		*ret_data = steal_ptr(text);
		*ret_size = size;
	}
	free(text);
	if (*ret_size > limit) {
		free(*ret_data);
		*ret_data = NULL;
		slot_file_close(file);
		return -EFBIG;
	}
	if (file->number)
		file->fd = open(path, O_WRONLY | O_CLOEXEC);
	*ret = file;
	return 0;
}

/* Both slots are written: later writes find their blocks allocated, and the disk is all that they need. */
static int make_anew(struct slot_file *file, const uint8_t *slot, size_t size)
{
	size_t slot_size = SLOT_MIN;
	uint64_t number = file->number + 1;
	_cleanup_free_ uint8_t *both = NULL;
	int rc;

	while (slot_size < size)
		slot_size *= 2;
	both = xcalloc(2, slot_size);
	memcpy(both + number % 2 * slot_size, slot, size);
	rc = file_replace(file->path, both, 2 * slot_size, 0600);
	if (rc < 0)
		return rc;
	if (file->fd >= 0)
		close(file->fd);
	file->fd = open(file->path, O_WRONLY | O_CLOEXEC);
	file->slot_size = slot_size;
	return 0;
}

static int overwrite(const struct slot_file *file, const uint8_t *slot, size_t size)
{
	off_t at = (off_t)((file->number + 1) % 2 * file->slot_size);
	int rc = lseek(file->fd, at, SEEK_SET) < 0 ? -errno : file_write_all(file->fd, slot, size);

	return rc == 0 && fdatasync(file->fd) < 0 ? -errno : rc;
}

/* Nobody has removed or replaced it under us: what is written to a file without a name is lost. */
static bool is_in_place(const struct slot_file *file)
{
	struct stat st;

	return file->fd >= 0 && fstat(file->fd, &st) == 0 && st.st_nlink > 0;
}

int slot_file_write(struct slot_file *file, const void *data, size_t size)
{
	_cleanup_free_ uint8_t *slot = lay_out(file->number + 1, data, size);
	size_t whole = sizeof(struct slot_header) + size;
	int rc = is_in_place(file) && whole <= file->slot_size ? overwrite(file, slot, whole) : make_anew(file, slot, whole);

	if (rc == 0)
		file->number++;
	return rc;
}

void slot_file_close(struct slot_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file);
}
