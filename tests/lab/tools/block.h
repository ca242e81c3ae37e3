/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 4 KiB block that ack-writer writes and ack-dump reads. Each 512-byte sector tells on its own what it belongs to, so that a
 * torn block can be told apart sector by sector.
 */
#ifndef LAB_BLOCK_H
#define LAB_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_SIZE 4096
#define SECTOR_SIZE 512
#define BLOCK_SECTORS (BLOCK_SIZE / SECTOR_SIZE)
#define BLOCK_MAGIC UINT64_C(0x314b434144414e4c)

struct sector {
	uint64_t magic;
	uint64_t lba;		/* in blocks of BLOCK_SIZE */
	uint64_t seq;		/* counts the writes of this block; the first is 1 */
	uint64_t time_ns;	/* CLOCK_MONOTONIC of the writer's machine when it was issued */
	uint32_t writer;
	uint32_t crc;		/* crc32c of the block with this field 0; in the first sector only */
	uint8_t fill[SECTOR_SIZE - 40];
};

struct block {
	struct sector sectors[BLOCK_SECTORS];
};

enum block_state {
	BLOCK_ZERO,	/* never written */
	BLOCK_OK,
	BLOCK_TORN,	/* ours, but not as it was written */
	BLOCK_FOREIGN,	/* somebody else's data */
};

uint32_t crc32c(const void *data, size_t size);

void block_fill(struct block *b, uint64_t lba, uint64_t seq, uint32_t writer, uint64_t time_ns);

/* What was read from block @lba. A valid block of another address is foreign: it was misdirected. */
enum block_state block_judge(const struct block *b, uint64_t lba);

uint64_t monotonic_ns(void);

#endif
