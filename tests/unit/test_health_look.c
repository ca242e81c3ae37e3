// SPDX-License-Identifier: GPL-2.0-or-later
/* What lunward-health asks, and what it makes of the answers of a target that is well, ill, silent or someone else's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/health/look.h"
#include "base/cleanup.h"

#define NAA "6001405aaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "6001405bbbbbbbbbbbbbbbbbbbbbbbbb"

/* The target, as the door shows it. */
struct initiator {
	int unused;
};

static struct target {
	bool refuses_login, is_silent_at_read;
	int hangs_at_lun;
	const char *naa;
	uint8_t state;      /* of port group 2; that of 1 is its contrary */
	bool tells_ready;   /* whatever the state */
	int news;           /* UNIT ATTENTIONs to come */
	int read_status;
	uint8_t read_key;
	uint16_t read_ascq;
	int64_t now_ms, ask_ms;
	int n_logins, n_ends;
	uint64_t block_read;
	char seen[64]; /* first bytes of the commands */
} target;

static int fake_login(const struct initiator_login *login, int64_t deadline_ms, struct initiator **ret, struct err *err)
{
	static struct initiator session;

	target.n_logins++;
	assert_string_equal(login->name, "iqn.x:me");
	assert_string_equal(login->password, "sesame");
	assert_true(deadline_ms > target.now_ms);
	if (target.refuses_login)
		return err_set(err, -ECONNABORTED, "no login: Authentication failure");
	*ret = &session;
	return 0;
}

static void fake_end(struct initiator *initiator, int64_t deadline_ms)
{
	(void)deadline_ms;
	target.n_ends += initiator != NULL;
}

static void check(struct health_answer *ret, uint8_t key, uint16_t ascq)
{
	*ret = (struct health_answer){ .arrived = true, .status = 2, .key = key, .ascq = ascq };
}

/* Another logical unit's designators around the one that counts: a port's NAA, the T10 name. */
static void fake_identity(struct health_answer *ret)
{
	static const char others[] = OTHER;
	static uint8_t page[64];

	memset(page, 0, sizeof(page));
	page[1] = 0x83;
	page[3] = 4 + 2 + 4 + 16 + 4 + 16;
	memcpy(page + 4, (uint8_t[]){ 2, 1, 0, 2, 'L', 'W' }, 6);
	memcpy(page + 10, (uint8_t[]){ 1, 0x93, 0, 16 }, 4);
	memcpy(page + 30, (uint8_t[]){ 1, 0x03, 0, 16 }, 4);
	for (int i = 0; i < 16; i++) {
		unsigned int byte, other;

		assert_int_equal(sscanf(target.naa + 2 * i, "%2x", &byte), 1);
		assert_int_equal(sscanf(others + 2 * i, "%2x", &other), 1);
		page[14 + i] = (uint8_t)other;
		page[34 + i] = (uint8_t)byte;
	}
	*ret = (struct health_answer){ .arrived = true, .data = page, .size = 50 };
}

static void fake_states(struct health_answer *ret)
{
	static uint8_t page[32];

	memset(page, 0, sizeof(page));
	page[3] = 8 + 4 + 8 + 4;
	page[4] = target.state ? 0 : 2;
	page[7] = 1;
	page[11] = 1;
	page[16] = 0x80 | target.state; /* PREF is not part of it */
	page[19] = 2;
	page[23] = 1;
	*ret = (struct health_answer){ .arrived = true, .data = page, .size = 28 };
}

static void fake_ask(struct initiator *initiator, int lun, struct health_command *command, int64_t deadline_ms, struct health_answer *ret)
{
	size_t n = strlen(target.seen);

	assert_non_null(initiator);
	snprintf(target.seen + n, sizeof(target.seen) - n, "%02x", command->cdb[0]);
	*ret = (struct health_answer){ .arrived = false };
	target.now_ms += target.ask_ms;
	if (lun == target.hangs_at_lun) {
		target.now_ms = deadline_ms;
	} else if (target.news > 0) {
		target.news--;
		check(ret, 6, 0x2a06);
	} else if (command->cdb[0] == 0x00) {
		ret->arrived = true;
		if (target.state == 2 && !target.tells_ready)
			check(ret, 2, 0x040b);
	} else if (command->cdb[0] == 0x12) {
		assert_int_equal(command->cdb[2], 0x83);
		fake_identity(ret);
	} else if (command->cdb[0] == 0xa3) {
		fake_states(ret);
	} else if (!target.is_silent_at_read) {
		assert_int_equal(command->cdb[0], 0x88);
		assert_int_equal(command->in_size, 512);
		for (int i = 2; i < 10; i++)
			target.block_read = target.block_read << 8 | command->cdb[i];
		assert_memory_equal(command->cdb + 10, "\0\0\0\1\0\0", 6);
		*ret = (struct health_answer){ .arrived = true, .status = target.read_status, .key = target.read_key, .ascq = target.read_ascq };
	}
}

static int64_t fake_now_ms(void)
{
	return target.now_ms;
}

static const struct look_door door = { fake_login, fake_ask, fake_end, fake_now_ms };

#define TASK(looks) "{\"initiator\": \"iqn.x:me\", \"user\": \"u\", \"password\": \"sesame\", \"limit_ms\": 8000, \"looks\": [" looks "]}"
#define LOOK(luns) "{\"portal\": \"10.0.0.1:3260\", \"target\": \"iqn.t\", \"luns\": [" luns "]}"
#define LUN(lun, state) "{\"lun\": " #lun ", \"naa\": \"" NAA "\", \"port_group\": 2, \"state\": " #state
#define STANDBY LUN(7, 2) "}"
#define OWNER LUN(7, 0) ", \"block\": 4294967297, \"block_size\": 512}"

static int set_up(void **state)
{
	(void)state;
	target = (struct target){ .naa = NAA, .now_ms = 1000, .hangs_at_lun = -1 };
	return 0;
}

/* "good: good read", with the texts that are not empty in brackets. */
static void expect(const char *task_text, const char *want)
{
	json_auto_t *task = json_loads(task_text, 0, NULL), *answer = NULL;
	struct err err = ERR_INIT;
	json_t *look, *lun;
	char got[1024] = "";
	size_t i, k, n = 0;

	assert_non_null(task);
	answer = look_round(task, &door, &err);
	assert_non_null(answer);
	json_array_foreach (json_object_get(answer, "looks"), i, look) {
		const char *text = json_string_value(json_object_get(look, "text"));

		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s%s%s%s:", i ? " | " : "", json_string_value(json_object_get(look, "result")),
				      *text ? " (" : "", text, *text ? ")" : "");
		json_array_foreach (json_object_get(look, "luns"), k, lun) {
			text = json_string_value(json_object_get(lun, "text"));
			n += (size_t)snprintf(got + n, sizeof(got) - n, " %s%s%s%s", json_string_value(json_object_get(lun, "result")),
					      *text ? " (" : "", text, *text ? ")" : "");
		}
	}
	assert_string_equal(got, want);
	assert_int_equal(target.n_ends, target.n_logins - (target.refuses_login ? target.n_logins : 0));
}

static void test_all_is_well(void **state)
{
	(void)state;
	expect(TASK(LOOK(OWNER)), "good: good");
	assert_string_equal(target.seen, "0012a388");
	assert_int_equal(target.block_read, 4294967297);
	set_up(state);
	target.state = 2;
	expect(TASK(LOOK(STANDBY)), "good: good");
	assert_string_equal(target.seen, "0012a3"); /* a standby is not read from */
	set_up(state);
	expect(TASK(""), "");
}

static void test_news_are_passed_over(void **state)
{
	(void)state;
	target.news = 3;
	expect(TASK(LOOK(OWNER)), "good: good");
	set_up(state);
	target.news = 1000;
	expect(TASK(LOOK(OWNER)), "good: unknown (TEST UNIT READY: CHECK CONDITION 06/2a/06)");
}

static void test_states(void **state)
{
	(void)state;
	target.state = 2;
	expect(TASK(LOOK(LUN(7, 0) "}")), "good: unready (TEST UNIT READY: CHECK CONDITION 02/04/0b)");
	set_up(state);
	expect(TASK(LOOK(STANDBY)), "good: unready (TEST UNIT READY: status 00)");
	set_up(state);
	target.state = 2;
	target.tells_ready = true;
	expect(TASK(LOOK(OWNER)), "good: state (REPORT TARGET PORT GROUPS: state 2 of port group 2, not 0)");
}

static void test_another_disk(void **state)
{
	(void)state;
	target.naa = OTHER;
	expect(TASK(LOOK(OWNER)), "good: identity (INQUIRY: not the disk naa." NAA ")");
}

static void expect_read(int status, uint8_t key, uint16_t ascq, const char *want)
{
	target.read_status = status;
	target.read_key = key;
	target.read_ascq = ascq;
	expect(TASK(LOOK(OWNER)), want);
}

static void test_reads(void **state)
{
	(void)state;
	expect_read(2, 2, 0x0800, "good: read (READ: CHECK CONDITION 02/08/00)");
	expect_read(2, 3, 0x1100, "good: read (READ: CHECK CONDITION 03/11/00)");
	expect_read(2, 4, 0x4400, "good: read (READ: CHECK CONDITION 04/44/00)");
	/* No word about the device: a reservation, a group that has just gone into transition, a volume that has not grown yet. */
	expect_read(0x18, 0, 0, "good: unknown (READ: status 18)");
	expect_read(2, 2, 0x040a, "good: unknown (READ: CHECK CONDITION 02/04/0a)");
	expect_read(2, 5, 0x2100, "good: unknown (READ: CHECK CONDITION 05/21/00)");
}

/* A hang is not an error, and the connection is of no use after it. */
static void test_silence(void **state)
{
	(void)state;
	target.is_silent_at_read = true;
	expect(TASK(LOOK(OWNER "," OWNER) "," LOOK(STANDBY)), "good: silent (READ: no answer) unknown | "
	       "good: unready (TEST UNIT READY: status 00)");
	set_up(state);
	target.hangs_at_lun = 7;
	expect(TASK(LOOK(OWNER) "," LOOK(OWNER) "," LOOK(OWNER)), "good: silent (TEST UNIT READY: no answer) | "
	       "good: silent (TEST UNIT READY: no answer) | unknown (no time left): unknown");
	assert_in_range(target.now_ms, 1000 + 6000, 1000 + 8000);
	set_up(state);
	target.ask_ms = 1000;
	expect(TASK(LOOK(OWNER "," OWNER)), "good: good unknown");
}

static void test_no_login(void **state)
{
	(void)state;
	target.refuses_login = true;
	expect(TASK(LOOK(OWNER "," STANDBY)), "login (no login: Authentication failure): unknown unknown");
}

/* Answers that are cut off, or say of themselves that they are longer than they are. */
static void test_short_answers(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct health_lun lun = { .naa = NAA, .port_group = 2, .reads = true, .block_size = 512 };

	(void)state;
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		const struct health_answer answer = { .arrived = true, .data = bytes, .size = size };
		char text[HEALTH_TEXT_SIZE] = "";

		assert_int_equal(health_step(&lun, 1)->judge(&lun, &answer, text), HEALTH_IDENTITY);
		assert_int_equal(health_step(&lun, 2)->judge(&lun, &answer, text), HEALTH_STATE);
	}
}

static void test_wrong_tasks(void **state)
{
	static const char *const tasks[] = {
		"[]", "{}", TASK("1"), TASK("{\"portal\": \"p\", \"target\": \"t\"}"), TASK(LOOK("{}")), TASK(LOOK(LUN(7, 3) "}")),
		TASK(LOOK(LUN(65536, 0) "}")), TASK(LOOK(LUN(7, 0) ", \"block\": 0}")), TASK(LOOK(LUN(7, 0) ", \"block\": -1, \"block_size\": 512}")),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		json_auto_t *task = json_loads(tasks[i], 0, NULL);
		struct err err = ERR_INIT;

		assert_non_null(task);
		assert_null(look_round(task, &door, &err));
		assert_string_equal(err.text, "not a task");
	}
	assert_int_equal(target.n_logins, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all_is_well, set_up),   cmocka_unit_test_setup(test_news_are_passed_over, set_up),
		cmocka_unit_test_setup(test_states, set_up),        cmocka_unit_test_setup(test_another_disk, set_up),
		cmocka_unit_test_setup(test_reads, set_up),         cmocka_unit_test_setup(test_silence, set_up),
		cmocka_unit_test_setup(test_no_login, set_up),      cmocka_unit_test_setup(test_short_answers, set_up),
		cmocka_unit_test_setup(test_wrong_tasks, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
