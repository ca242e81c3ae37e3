/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Persistent reservations of one logical unit as SPC-4 5.13 describes them, written for being read beside the standard and for
 * nothing else: what the product and the kernel are compared with. It shares no code with either.
 */
#ifndef TESTS_UNIT_PR_MODEL_H
#define TESTS_UNIT_PR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NEXUSES 12

enum model_action { MODEL_REGISTER, MODEL_REGISTER_IGNORE, MODEL_RESERVE, MODEL_RELEASE, MODEL_CLEAR, MODEL_PREEMPT, MODEL_PREEMPT_ABORT };
enum model_status { MODEL_GOOD, MODEL_CONFLICT, MODEL_CHECK };

struct model_command {
	enum model_action action;
	unsigned int nexus;
	uint64_t key, sa_key; /* reservation key, service action reservation key */
	unsigned int type;
};

struct model {
	uint64_t keys[MODEL_NEXUSES]; /* 0: not registered */
	unsigned int type;            /* 0: no reservation */
	unsigned int holder;          /* of an all-registrants type: who made it, or whom it was passed on to */
};

enum model_status model_prout(struct model *model, const struct model_command *command);
/* READ or WRITE by a nexus: false is RESERVATION CONFLICT (SPC-4 table 47, SBC-3 table 13). */
bool model_access(const struct model *model, unsigned int nexus, bool write);
bool model_is_holder(const struct model *model, unsigned int nexus);

#endif
