/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 4 KiB block that the probe writes, and what a block that was read tells. Each 512-byte sector says on its own what it belongs to
 * and has its own checksum: a disk writes sectors whole, and what is torn is torn between them.
 */
#ifndef PROBE_BLOCK_H
#define PROBE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_BLOCK_SIZE 4096
#define PROBE_SECTOR_SIZE 512
#define PROBE_SECTORS (PROBE_BLOCK_SIZE / PROBE_SECTOR_SIZE)

struct block {
	uint8_t bytes[PROBE_BLOCK_SIZE];
};

/* Who wrote a block and when. */
struct block_id {
	uint64_t run;     /* of the probe; a later run has a greater number */
	uint64_t address; /* in bytes, from the beginning of the device */
	uint64_t seq;     /* counts this run's writes of this block; the first is 1 */
	int64_t time_us;  /* the run's clock, when the write was issued */
	uint32_t stream;
};

/* What is known of a block beside what is in it. */
struct block_known {
	uint64_t acked, issued; /* newest write that was acknowledged, and newest that was begun: acked <= issued */
};

/* Those from LOST on are faults. */
#define FINDINGS(X)                                                                                                    \
	X(FINE, "fine")                                                                                                \
	X(UNFINISHED, "unfinished")   /* parts of writes that were never acknowledged: nothing was promised */         \
	X(SUPERSEDED, "superseded")   /* a later run of the probe has written here */                                  \
	X(LOST, "lost")               /* older than what was acknowledged */                                           \
	X(TORN, "torn")               /* some sectors are older than what was acknowledged */                          \
	X(CORRUPT, "corrupt")         /* a sector whose checksum is wrong */                                           \
	X(MISPLACED, "misplaced")     /* a block of another place */                                                   \
	X(FOREIGN, "foreign")         /* somebody else's data */                                                       \
	X(UNKNOWN, "unknown")         /* newer than what was written */                                                \
	X(UNREADABLE, "unreadable")
enum finding {
#define X(id, name) FINDING_##id,
	FINDINGS(X)
#undef X
	N_FINDINGS
};

const char *finding_name(enum finding f);

static inline bool finding_is_fault(enum finding f)
{
	return f >= FINDING_LOST;
}

void block_fill(struct block *b, const struct block_id *id);

/* What was read at `address`, judged by what run `run` knows of it. Sequence numbers of the newest and oldest sector for whoever explains
 * it (0: not this run's). */
enum finding block_judge(const struct block *b, uint64_t run, uint64_t address, const struct block_known *known,
			 uint64_t *ret_newest, uint64_t *ret_oldest);

/* Whether nobody but the probe has ever written here: each sector is empty or the probe's, in whatever state. */
bool block_is_scratch(const struct block *b);

/* A generator of numbers whose state is the caller's. */
uint64_t splitmix64(uint64_t *state);

#endif
