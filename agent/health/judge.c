// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/health/judge.h"

#include <stdio.h>
#include <string.h>

#define STATUS_GOOD 0x00
#define STATUS_CHECK_CONDITION 0x02
#define KEY_NOT_READY 0x2
#define KEY_MEDIUM_ERROR 0x3
#define KEY_HARDWARE_ERROR 0x4
#define KEY_UNIT_ATTENTION 0x6
#define ASCQ_STANDBY 0x040b       /* TARGET PORT IN STANDBY STATE */
#define ASCQ_COMMUNICATION 0x0800 /* LOGICAL UNIT COMMUNICATION FAILURE: what LIO's iblock says of any I/O error */
#define STATE_STANDBY 2
#define ANSWER_MAX 4096

const char *health_result_name(enum health_result result)
{
	static const char *const names[] = {
#define X(id, name) name,
		HEALTH_RESULTS(X)
#undef X
	};

	return names[result];
}

bool health_is_news(const struct health_answer *answer)
{
	return answer->arrived && answer->status == STATUS_CHECK_CONDITION && answer->key == KEY_UNIT_ATTENTION;
}

static void say_answer(const char *command, const struct health_answer *answer, char *text)
{
	if (!answer->arrived)
		snprintf(text, HEALTH_TEXT_SIZE, "%s: no answer", command);
	else if (answer->status == STATUS_CHECK_CONDITION)
		snprintf(text, HEALTH_TEXT_SIZE, "%s: CHECK CONDITION %02x/%02x/%02x", command, answer->key, answer->ascq >> 8,
			 answer->ascq & 0xff);
	else
		snprintf(text, HEALTH_TEXT_SIZE, "%s: status %02x", command, answer->status);
}

/* What is neither GOOD nor known to be bad: RESERVATION CONFLICT, BUSY, a command that is not for this kernel. */
static enum health_result other(const char *command, const struct health_answer *answer, char *text)
{
	say_answer(command, answer, text);
	return answer->arrived ? HEALTH_UNKNOWN : HEALTH_SILENT;
}

static bool is_good(const struct health_answer *answer)
{
	return answer->arrived && answer->status == STATUS_GOOD;
}

static void put(uint8_t *to, uint64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--, value >>= 8)
		to[i] = (uint8_t)value;
}

static uint32_t get(const uint8_t *from, int bytes)
{
	uint32_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

/* --- TEST UNIT READY --------------------------------------------------------------------------------------------------*/

static void ask_ready(const struct health_lun *lun, struct health_command *ret)
{
	(void)lun;
	*ret = (struct health_command){ .cdb_size = 6 };
}

static enum health_result judge_ready(const struct health_lun *lun, const struct health_answer *answer, char *text)
{
	bool refused = answer->arrived && answer->status == STATUS_CHECK_CONDITION && answer->key == KEY_NOT_READY;

	if (lun->state == STATE_STANDBY ? refused && answer->ascq == ASCQ_STANDBY : is_good(answer))
		return HEALTH_GOOD;
	if (!is_good(answer) && !refused)
		return other("TEST UNIT READY", answer, text);
	say_answer("TEST UNIT READY", answer, text);
	return HEALTH_UNREADY;
}

/* --- INQUIRY, page 83h -------------------------------------------------------------------------------------------------*/

static void ask_identity(const struct health_lun *lun, struct health_command *ret)
{
	(void)lun;
	*ret = (struct health_command){ .cdb = { 0x12, 0x01, 0x83 }, .cdb_size = 6, .in_size = ANSWER_MAX };
	put(ret->cdb + 3, ANSWER_MAX, 2);
}

/* The designator of type NAA that is the logical unit's (SPC-4 7.8.6). */
static bool has_naa(const struct health_answer *answer, const char *naa)
{
	size_t at = 4, end = answer->size < 4 ? 0 : MIN(answer->size, 4 + (size_t)get(answer->data + 2, 2));

	while (at + 4 <= end) {
		const uint8_t *d = answer->data + at;
		char hex[33] = "";

		if (at + 4 + d[3] > end)
			return false;
		for (size_t i = 0; (d[1] & 0x3f) == 0x03 && d[3] == 16 && i < 16; i++)
			snprintf(hex + 2 * i, 3, "%02x", d[4 + i]);
		if (strcmp(hex, naa) == 0)
			return true;
		at += 4 + (size_t)d[3];
	}
	return false;
}

static enum health_result judge_identity(const struct health_lun *lun, const struct health_answer *answer, char *text)
{
	if (!is_good(answer))
		return other("INQUIRY", answer, text);
	if (has_naa(answer, lun->naa))
		return HEALTH_GOOD;
	snprintf(text, HEALTH_TEXT_SIZE, "INQUIRY: not the disk naa.%s", lun->naa);
	return HEALTH_IDENTITY;
}

/* --- REPORT TARGET PORT GROUPS -----------------------------------------------------------------------------------------*/

static void ask_state(const struct health_lun *lun, struct health_command *ret)
{
	(void)lun;
	*ret = (struct health_command){ .cdb = { 0xa3, 0x0a }, .cdb_size = 12, .in_size = ANSWER_MAX };
	put(ret->cdb + 6, ANSWER_MAX, 4);
}

static enum health_result judge_state(const struct health_lun *lun, const struct health_answer *answer, char *text)
{
	size_t at = 4, end = answer->size < 4 ? 0 : MIN(answer->size, 4 + (size_t)get(answer->data, 4));

	if (!is_good(answer))
		return other("REPORT TARGET PORT GROUPS", answer, text);
	for (; at + 8 <= end; at += 8 + 4 * (size_t)answer->data[at + 7]) {
		const uint8_t *group = answer->data + at;

		if (get(group + 2, 2) != lun->port_group)
			continue;
		if ((group[0] & 0x0f) == lun->state)
			return HEALTH_GOOD;
		snprintf(text, HEALTH_TEXT_SIZE, "REPORT TARGET PORT GROUPS: state %x of port group %u, not %x", group[0] & 0x0f,
			 lun->port_group, lun->state);
		return HEALTH_STATE;
	}
	snprintf(text, HEALTH_TEXT_SIZE, "REPORT TARGET PORT GROUPS: no port group %u", lun->port_group);
	return HEALTH_STATE;
}

/* --- READ ---------------------------------------------------------------------------------------------------------------*/

/* Without FUA: iblock gives each READ to the device itself, and LIO refuses that bit where the device has no cache of writes. */
static void ask_block(const struct health_lun *lun, struct health_command *ret)
{
	*ret = (struct health_command){ .cdb = { 0x88 }, .cdb_size = 16, .in_size = (int)lun->block_size };
	put(ret->cdb + 2, lun->block, 8);
	put(ret->cdb + 10, 1, 4);
}

static enum health_result judge_block(const struct health_lun *lun, const struct health_answer *answer, char *text)
{
	(void)lun;
	if (is_good(answer))
		return HEALTH_GOOD;
	if (!answer->arrived || answer->status != STATUS_CHECK_CONDITION ||
	    (answer->key != KEY_MEDIUM_ERROR && answer->key != KEY_HARDWARE_ERROR &&
	     (answer->key != KEY_NOT_READY || answer->ascq != ASCQ_COMMUNICATION)))
		return other("READ", answer, text);
	say_answer("READ", answer, text);
	return HEALTH_READ;
}

const struct health_step *health_step(const struct health_lun *lun, unsigned int index)
{
	static const struct health_step steps[] = {
		{ ask_ready, judge_ready }, { ask_identity, judge_identity }, { ask_state, judge_state }, { ask_block, judge_block },
	};

	return index < ARRAY_SIZE(steps) - !lun->reads ? &steps[index] : NULL;
}
