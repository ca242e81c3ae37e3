// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lunward-probe on storage that goes wrong: linked in place of area_read() and area_write() (ld --wrap), which it calls for what goes
 * right. PROBE_FAULTS: KIND=BLOCK:N[:MS],... from the Nth write (for reads: read) of the block on:
 *
 *	lose	writes of the block are acknowledged and not done
 *	tear	only the first half of the block is written, and acknowledged
 *	refuse	writes fail, and are not done
 *	ghost	the Nth write fails and is done all the same, after the next one
 *	revert	reads give what the first write left
 *	flash	the first read after the Nth write does so, and no other
 *	misread	they give the block behind it, once that has been written
 *	flip	reads give one wrong bit
 *	deny	reads fail
 *	delay	the Nth write takes MS longer
 *	hang	writes do not come back
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/area.h"

#define BLOCKS_MAX 4096

int __real_area_read(const struct area *area, uint64_t block, struct block *b);
int __real_area_write(const struct area *area, uint64_t block, const struct block *b);
int __wrap_area_read(const struct area *area, uint64_t block, struct block *b);
int __wrap_area_write(const struct area *area, uint64_t block, const struct block *b);

/* A block belongs to one stream: no locks. */
static unsigned int writes[BLOCKS_MAX], reads[BLOCKS_MAX];
static struct block first[BLOCKS_MAX], ghost;
static bool flashed;

/* The first number of a fault of that kind; for `ms` the third too. */
static bool fault(const char *kind, uint64_t block, unsigned int count, unsigned int *ret_n, int *ret_ms)
{
	const char *at = getenv("PROBE_FAULTS");

	for (; at && *at; at += strcspn(at, ","), at += *at == ',') {
		size_t len = strlen(kind);
		unsigned long long b;
		unsigned int n;
		int ms = 0;

		if (strncmp(at, kind, len) != 0 || at[len] != '=' || sscanf(at + len + 1, "%llu:%u:%d", &b, &n, &ms) < 2)
			continue;
		if (b == block && count >= n) {
			*ret_n = n;
			*ret_ms = ms;
			return true;
		}
	}
	return false;
}

int __wrap_area_read(const struct area *area, uint64_t block, struct block *b)
{
	unsigned int n;
	int rc = __real_area_read(area, block, b), ms;

	if (block >= BLOCKS_MAX || writes[block] == 0)
		return rc;
	reads[block]++;
	if (fault("deny", block, reads[block], &n, &ms))
		return -EIO;
	if (fault("revert", block, reads[block], &n, &ms) || (!flashed && fault("flash", block, writes[block], &n, &ms))) {
		flashed = fault("flash", block, writes[block], &n, &ms);
		*b = first[block];
	}
	if (fault("misread", block, reads[block], &n, &ms)) {
		struct block own = *b;

		rc = __real_area_read(area, block + 1, b);
		if (b->bytes[0] == 0)
			*b = own;
	}
	if (fault("flip", block, reads[block], &n, &ms))
		b->bytes[1000] ^= 4;
	return rc;
}

static int write_half(const struct area *area, uint64_t block, const struct block *b)
{
	struct block *mixed = aligned_alloc(PROBE_BLOCK_SIZE, sizeof(*mixed));
	int rc = __real_area_read(area, block, mixed);

	memcpy(mixed->bytes, b->bytes, PROBE_BLOCK_SIZE / 2);
	if (rc == 0)
		rc = __real_area_write(area, block, mixed);
	free(mixed);
	return rc;
}

static int write_ghost(const struct area *area, uint64_t block)
{
	struct block *late = aligned_alloc(PROBE_BLOCK_SIZE, sizeof(*late));
	int rc;

	*late = ghost;
	rc = __real_area_write(area, block, late);
	free(late);
	return rc;
}

int __wrap_area_write(const struct area *area, uint64_t block, const struct block *b)
{
	unsigned int n, count = ++writes[block];
	int ms, rc;

	if (count == 1)
		first[block] = *b;
	if (fault("lose", block, count, &n, &ms))
		return 0;
	if (fault("tear", block, count, &n, &ms))
		return write_half(area, block, b);
	if (fault("refuse", block, count, &n, &ms))
		return -EIO;
	if (fault("hang", block, count, &n, &ms))
		for (;;)
			pause();
	if (fault("delay", block, count, &n, &ms) && count == n)
		poll(NULL, 0, ms);
	if (!fault("ghost", block, count, &n, &ms))
		return __real_area_write(area, block, b);
	if (count == n) {
		ghost = *b;
		return -EIO;
	}
	/* From then on the failed write lands after each. */
	rc = __real_area_write(area, block, b);
	return rc < 0 ? rc : write_ghost(area, block);
}
