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

#define MAGIC "LWSLOT2\n"
#define MAGIC_ALONE "LWSLOT1\n" /* of an earlier release, which would not see what is appended: to be written anew before that */
#define SLOT_MIN (64u << 10)

struct slot_header { /* little endian, at the beginning of a slot; the data follow, then what was appended */
	char magic[8];
	uint64_t number; /* of the version: the higher is the newer one */
	uint64_t size;
	uint32_t crc; /* of number, size, 0 and the data */
	uint32_t unused;
};

struct part_header { /* little endian; its data follow, then the next part */
	uint64_t number; /* of the version it was appended to: the slot was used before */
	uint32_t index;  /* from 0 */
	uint32_t size;
	uint32_t crc; /* of number, index, size, 0 and the data */
	uint32_t unused;
};

struct slot_file {
	char *path;
	int fd; /* -1: the next write makes the file anew */
	size_t slot_size;
	uint64_t number;   /* of the last version that is known to be on the disk, in slot number % 2 */
	size_t end;        /* where the next part goes in that slot; 0: nothing can be appended */
	uint32_t n_parts;
};

#define AFTER_CRC sizeof(uint32_t) /* `unused`, in both headers */

/* The header, in which crc is 0, and the data behind it, sealed with their checksum. */
static uint8_t *seal(const void *header, size_t header_size, const void *data, size_t size)
{
	uint8_t *sealed = xcalloc(1, header_size + size);
	uint32_t crc;

	memcpy(sealed, header, header_size);
	if (size)
		memcpy(sealed + header_size, data, size);
	crc = htole32(bytes_crc32(sealed, header_size + size));
	memcpy(sealed + header_size - AFTER_CRC - sizeof(crc), &crc, sizeof(crc));
	return sealed;
}

static uint8_t *lay_out(const char *magic, uint64_t number, const void *data, size_t size)
{
	struct slot_header header = { .number = htole64(number), .size = htole64(size) };

	memcpy(header.magic, magic, sizeof(header.magic));
	return seal(&header, sizeof(header), data, size);
}

static uint8_t *lay_out_part(uint64_t number, uint32_t index, const void *data, size_t size)
{
	const struct part_header header = { .number = htole64(number), .index = htole32(index), .size = htole32((uint32_t)size) };

	return seal(&header, sizeof(header), data, size);
}

static bool has_magic(const uint8_t *slot, const char *magic)
{
	return memcmp(slot, magic, sizeof(((struct slot_header *)NULL)->magic)) == 0;
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
	if ((!has_magic(slot, MAGIC) && !has_magic(slot, MAGIC_ALONE)) || size > slot_size - sizeof(header))
		return 0;
	again = lay_out(header.magic, number, slot + sizeof(header), size);
	if (memcmp(again, slot, sizeof(header)) != 0)
		return 0;
	*ret_size = size;
	return number;
}

/* Whether the next part of the file's version is there, whole. */
static bool check_part(const struct slot_file *file, const uint8_t *slot, size_t *ret_size)
{
	struct part_header header;
	_cleanup_free_ uint8_t *again = NULL;
	size_t room = file->slot_size - file->end, size;

	if (room < sizeof(header))
		return false;
	memcpy(&header, slot + file->end, sizeof(header));
	size = le32toh(header.size);
	if (size > room - sizeof(header))
		return false;
	again = lay_out_part(file->number, file->n_parts, slot + file->end + sizeof(header), size);
	*ret_size = size;
	return memcmp(again, slot + file->end, sizeof(header)) == 0;
}

static void take_parts(struct slot_file *file, const uint8_t *slot, char **data, size_t *data_size)
{
	size_t size;

	while (check_part(file, slot, &size)) {
		*data = xreallocarray(*data, 1, *data_size + size + 1);
		memcpy(*data + *data_size, slot + file->end + sizeof(struct part_header), size);
		*data_size += size;
		file->end += sizeof(struct part_header) + size;
		file->n_parts++;
	}
}

/* Takes the newer slot out of what the file has. false: there is none. */
static bool take_newer(struct slot_file *file, const char *text, size_t text_size, size_t limit, char **ret_data, size_t *ret_size)
{
	const uint8_t *newest = NULL;

	file->slot_size = text_size / 2;
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *slot = (const uint8_t *)text + i * file->slot_size;
		size_t size = 0;
		uint64_t number = check_slot(slot, file->slot_size, &size);

		if (number % 2 != i || number <= file->number)
			continue;
		file->number = number;
		newest = slot;
		*ret_size = size;
	}
	if (!newest)
		return false;
	*ret_data = xmemdup(newest + sizeof(struct slot_header), *ret_size);
	if (*ret_size > limit || has_magic(newest, MAGIC_ALONE))
		return true;
	file->end = sizeof(struct slot_header) + *ret_size;
	take_parts(file, newest, ret_data, ret_size);
	return true;
}

/* Magics differ in their number. What a later release keeps may be more than this one can. */
static bool is_of_later_release(const char *slot, size_t size)
{
	const size_t digit = sizeof(MAGIC) - 3;

	return size >= sizeof(struct slot_header) && memcmp(slot, MAGIC, digit) == 0 && slot[digit] > MAGIC[digit] && slot[digit] <= '9' &&
	       slot[digit + 1] == '\n';
}

int slot_file_open(const char *path, size_t limit, struct slot_file **ret, char **ret_data, size_t *ret_size)
{
	struct slot_file *file;
	char *text = NULL;
	size_t size = 0;
	/* Two slots, each up to four times as large as what is written whole. */
	int rc = file_read(path, 8 * limit + 2 * SLOT_MIN, &text, &size);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (text && (is_of_later_release(text, size / 2) || is_of_later_release(text + size / 2, size / 2))) {
		free(text);
		return -EPROTONOSUPPORT;
	}
	file = xcalloc(1, sizeof(*file));
	file->path = xstrdup(path);
	file->fd = -1;
	*ret_data = NULL;
	*ret_size = 0;
	if (text && !take_newer(file, text, size, limit, ret_data, ret_size)) {
		*ret_data = steal_ptr(text);
		*ret_size = size;
	}
	free(text);
	if (!file->end && *ret_size > limit) {
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

	while (slot_size / 2 < size)
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

static int overwrite(const struct slot_file *file, uint64_t number, size_t offset, const uint8_t *bytes, size_t size)
{
	off_t at = (off_t)(number % 2 * file->slot_size + offset);
	int rc = lseek(file->fd, at, SEEK_SET) < 0 ? -errno : file_write_all(file->fd, bytes, size);

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
	_cleanup_free_ uint8_t *slot = lay_out(MAGIC, file->number + 1, data, size);
	size_t whole = sizeof(struct slot_header) + size;
	/* As much room again for what is appended, or it would have to be written whole each time. */
	bool fits = is_in_place(file) && whole <= file->slot_size / 2;
	int rc = fits ? overwrite(file, file->number + 1, 0, slot, whole) : make_anew(file, slot, whole);

	if (rc < 0) { /* it may be there or not: what is appended to the version before could be lost behind it */
		file->end = 0;
		return rc;
	}
	file->number++;
	file->end = whole;
	file->n_parts = 0;
	return 0;
}

int slot_file_append(struct slot_file *file, const void *data, size_t size)
{
	size_t whole = sizeof(struct part_header) + size;
	_cleanup_free_ uint8_t *part = NULL;
	int rc;

	if (!file->end || !is_in_place(file) || whole > file->slot_size - file->end)
		return -EFBIG;
	part = lay_out_part(file->number, file->n_parts, data, size);
	rc = overwrite(file, file->number, file->end, part, whole);
	if (rc < 0) { /* it may be there or not: nothing can come after it */
		file->end = 0;
		return rc;
	}
	file->end += whole;
	file->n_parts++;
	return 0;
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
