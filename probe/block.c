// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/block.h"

#include <endian.h>
#include <string.h>

#include "base/compiler.h"

#define MAGIC UINT64_C(0x314b434f4c425750)

/* Little-endian, so that a log and a disk can be judged on another machine. */
struct sector {
	uint64_t magic;
	uint64_t run;
	uint64_t address; /* of this sector */
	uint64_t seq;
	uint64_t time_us;
	uint32_t stream;
	uint32_t crc; /* crc32c of the sector with this field 0 */
	uint64_t fill[(PROBE_SECTOR_SIZE - 48) / 8];
};
_Static_assert(sizeof(struct sector) == PROBE_SECTOR_SIZE, "sector layout");

const char *finding_name(enum finding f)
{
	static const char *const names[N_FINDINGS] = {
#define X(id, name) name,
		FINDINGS(X)
#undef X
	};

	return names[f];
}

uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t crc32c(const void *data, size_t size)
{
	static const uint32_t half_byte[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const uint8_t *p = data;
	uint32_t c = ~0U;

	while (size--) {
		c ^= *p++;
		c = c >> 4 ^ half_byte[c & 15];
		c = c >> 4 ^ half_byte[c & 15];
	}
	return ~c;
}

static uint32_t sector_crc(const struct sector *s)
{
	struct sector copy = *s;

	copy.crc = 0;
	return crc32c(&copy, sizeof(copy));
}

void block_fill(struct block *b, const struct block_id *id)
{
	for (size_t i = 0; i < PROBE_SECTORS; i++) {
		struct sector s = {
			.magic = htole64(MAGIC),
			.run = htole64(id->run),
			.address = htole64(id->address + i * PROBE_SECTOR_SIZE),
			.seq = htole64(id->seq),
			.time_us = htole64((uint64_t)id->time_us),
			.stream = htole32(id->stream),
		};
		uint64_t state = id->run ^ id->address << 20 ^ id->seq << 4 ^ i;

		/* Nothing on the way can compress it, or find it twice. */
		for (size_t k = 0; k < ARRAY_SIZE(s.fill); k++)
			s.fill[k] = htole64(splitmix64(&state));
		s.crc = htole32(sector_crc(&s));
		memcpy(b->bytes + i * PROBE_SECTOR_SIZE, &s, sizeof(s));
	}
}

static struct sector sector_of(const struct block *b, size_t i)
{
	struct sector s;

	memcpy(&s, b->bytes + i * PROBE_SECTOR_SIZE, sizeof(s));
	return s;
}

static bool is_zero(const struct sector *s)
{
	static const struct sector zero;

	return memcmp(s, &zero, sizeof(zero)) == 0;
}

bool block_is_scratch(const struct block *b)
{
	for (size_t i = 0; i < PROBE_SECTORS; i++) {
		struct sector s = sector_of(b, i);

		if (s.magic != htole64(MAGIC) && !is_zero(&s))
			return false;
	}
	return true;
}

/* FINE with its sequence number, where 0 is from before this run, or what else the sector is. */
static enum finding sector_judge(const struct sector *s, uint64_t run, uint64_t address, uint64_t *ret_seq)
{
	*ret_seq = 0;
	if (is_zero(s))
		return FINDING_FINE;
	if (s->magic != htole64(MAGIC))
		return FINDING_FOREIGN;
	if (le32toh(s->crc) != sector_crc(s))
		return FINDING_CORRUPT;
	if (le64toh(s->run) > run)
		return FINDING_SUPERSEDED;
	/* Of an earlier run it does not matter: nobody waits for its writes. */
	if (le64toh(s->run) < run)
		return FINDING_FINE;
	if (le64toh(s->address) != address)
		return FINDING_MISPLACED;
	*ret_seq = le64toh(s->seq);
	return FINDING_FINE;
}

enum finding block_judge(const struct block *b, uint64_t run, uint64_t address, const struct block_known *known,
			 uint64_t *ret_newest, uint64_t *ret_oldest)
{
	uint64_t newest = 0, oldest = UINT64_MAX, seq;
	enum finding worst = FINDING_FINE;

	for (size_t i = 0; i < PROBE_SECTORS; i++) {
		struct sector s = sector_of(b, i);
		enum finding f = sector_judge(&s, run, address + i * PROBE_SECTOR_SIZE, &seq);

		if (f > worst)
			worst = f;
		if (seq > newest)
			newest = seq;
		if (seq < oldest)
			oldest = seq;
	}
	*ret_newest = newest;
	*ret_oldest = oldest;
	if (worst == FINDING_MISPLACED)
		return worst;
	/* Where this run has written nothing, anything may be. */
	if (known->issued == 0 && newest == 0)
		return worst == FINDING_SUPERSEDED ? worst : FINDING_FINE;
	if (worst != FINDING_FINE)
		return worst;
	if (newest > known->issued)
		return FINDING_UNKNOWN;
	if (newest < known->acked)
		return FINDING_LOST;
	if (oldest < known->acked)
		return FINDING_TORN;
	return newest == oldest ? FINDING_FINE : FINDING_UNFINISHED;
}
