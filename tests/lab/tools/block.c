// SPDX-License-Identifier: GPL-2.0-or-later
#include "block.h"

#include <string.h>
#include <time.h>

#define CRC32C_POLY 0x82f63b78U

_Static_assert(sizeof(struct sector) == SECTOR_SIZE, "sector layout");
_Static_assert(sizeof(struct block) == BLOCK_SIZE, "block layout");

static uint32_t crc_table[256];

/* Made before main(), hence before there are threads. */
__attribute__((constructor)) static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ CRC32C_POLY : c >> 1;
		crc_table[i] = c;
	}
}

uint32_t crc32c(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t c = ~0U;

	while (size--)
		c = c >> 8 ^ crc_table[(c ^ *p++) & 0xff];
	return ~c;
}

uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void block_fill(struct block *b, uint64_t lba, uint64_t seq, uint32_t writer, uint64_t time_ns)
{
	for (int i = 0; i < BLOCK_SECTORS; i++) {
		struct sector *s = &b->sectors[i];

		s->magic = BLOCK_MAGIC;
		s->lba = lba;
		s->seq = seq;
		s->time_ns = time_ns;
		s->writer = writer;
		s->crc = 0;
		memset(s->fill, (int)((seq + lba + (unsigned int)i) & 0xff), sizeof(s->fill));
	}
	b->sectors[0].crc = crc32c(b, sizeof(*b));
}

enum block_state block_judge(const struct block *b, uint64_t lba)
{
	struct block copy = *b;
	const uint8_t *bytes = (const uint8_t *)b;
	size_t i = 0;

	while (i < sizeof(*b) && bytes[i] == 0)
		i++;
	if (i == sizeof(*b))
		return BLOCK_ZERO;
	copy.sectors[0].crc = 0;
	if (b->sectors[0].magic == BLOCK_MAGIC && crc32c(&copy, sizeof(copy)) == b->sectors[0].crc)
		return b->sectors[0].lba == lba ? BLOCK_OK : BLOCK_FOREIGN;
	for (i = 0; i < BLOCK_SECTORS; i++)
		if (b->sectors[i].magic == BLOCK_MAGIC && b->sectors[i].lba == lba)
			return BLOCK_TORN;
	return BLOCK_FOREIGN;
}
