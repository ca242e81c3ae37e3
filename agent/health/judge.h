/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is asked of a LUN and what its answers are worth: commands as bytes, answers as bytes, no connection. Pure.
 */
#ifndef AGENT_HEALTH_JUDGE_H
#define AGENT_HEALTH_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define HEALTH_TEXT_SIZE 160
#define HEALTH_CDB_SIZE 16

/* In JSON by these names; see look.h. */
#define HEALTH_RESULTS(X)                                                                                              \
	X(GOOD, "good")         /* all is as it is said to be */                                                       \
	X(UNKNOWN, "unknown")   /* an answer that says nothing of it: a reservation of a host's, no time left */       \
	X(LOGIN, "login")       /* of a portal: no way in */                                                           \
	X(SILENT, "silent")     /* no answer in time, or the connection broke */                                       \
	X(UNREADY, "unready")   /* TEST UNIT READY says other than the state of the port does */                       \
	X(IDENTITY, "identity") /* another disk */                                                                     \
	X(STATE, "state")       /* REPORT TARGET PORT GROUPS says another state */                                     \
	X(READ, "read")         /* the device below fails */
enum health_result {
#define X(id, name) HEALTH_##id,
	HEALTH_RESULTS(X)
#undef X
};
const char *health_result_name(enum health_result result);

struct health_lun { /* what is to be looked at, and what is to be seen */
	int lun;
	const char *naa;     /* 32 hex digits */
	uint16_t port_group; /* of the port that is logged in to */
	uint8_t state;       /* of that, SPC-4 6.33: 0, 1 or 2 */
	bool reads;
	uint64_t block;      /* to be read */
	uint32_t block_size;
};

struct health_command {
	unsigned char cdb[HEALTH_CDB_SIZE];
	int cdb_size, in_size; /* of the answer, at most */
};

struct health_answer {
	bool arrived; /* else none came */
	int status;   /* SAM-5 */
	uint8_t key;  /* of CHECK CONDITION */
	uint16_t ascq;
	const uint8_t *data;
	size_t size;
};

/* UNIT ATTENTION: news for each initiator, that say nothing of what was asked; to be asked again. */
bool health_is_news(const struct health_answer *answer);

/* The commands in the order they are asked; the first that is not GOOD is the result. text: HEALTH_TEXT_SIZE; the same for the same
 * fault. */
struct health_step {
	void (*ask)(const struct health_lun *lun, struct health_command *ret);
	enum health_result (*judge)(const struct health_lun *lun, const struct health_answer *answer, char *text);
};
/* NULL after the last. */
const struct health_step *health_step(const struct health_lun *lun, unsigned int index);

#endif
