/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scratch area: a part of a device or of a file that the probe may overwrite, and everything that keeps it from overwriting
 * something else. What is in use by the kernel is refused always; what holds data only until its owner vouches with its size.
 */
#ifndef PROBE_AREA_H
#define PROBE_AREA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"
#include "probe/block.h"

#define AREA_LENGTH_DEFAULT (UINT64_C(8) << 20)
#define AREA_LENGTH_MAX (UINT64_C(1) << 30)

struct area_wish {
	const char *path;
	uint64_t offset;
	uint64_t length;     /* 0: AREA_LENGTH_DEFAULT, or less if there is less */
	bool create;         /* a new file; length must be given */
	bool sync;           /* each write durable on its own (O_DSYNC) */
	uint64_t force_size; /* not 0: its data may go, if this is its size */
};

struct area {
	int fd;
	uint64_t offset, blocks;
	uint64_t size; /* of the whole device or file */
	dev_t file_system; /* of a file; 0 for a device */
};

/* Opens the area for a run: exclusively, after all checks. -EBUSY: in use; -EEXIST: holds data that is not the probe's. */
int area_open(struct area *ret, const struct area_wish *wish, struct err *err) must_check;
/* Opens it to read, beside a run or after one. */
int area_open_to_look(struct area *ret, const char *path, uint64_t offset, uint64_t blocks, struct err *err) must_check;
void area_close(struct area *area);

static inline uint64_t area_address(const struct area *area, uint64_t block)
{
	return area->offset + block * PROBE_BLOCK_SIZE;
}

/* One block, aligned to its size in memory. A short transfer is -EIO. */
int area_read(const struct area *area, uint64_t block, struct block *b) must_check;
int area_write(const struct area *area, uint64_t block, const struct block *b) must_check;

/* What the system says of a block device, below `root` ("" but for tests): who uses it (holders, mounts), and what udev has found on
 * it. Texts to be freed, NULL: nothing. */
char *area_users(const char *root, dev_t device) must_check;
char *area_content(const char *root, dev_t device) must_check;

#endif
