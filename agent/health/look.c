// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/health/look.h"

#include <errno.h>
#include <string.h>

#define ASK_MS 3000 /* hosts wait longer; a round must be over before the next one */
#define END_MS 500
#define NEWS_MAX 8 /* LIO queues a UNIT ATTENTION for each kind of change */
#define LUN_MAX 0xffff
#define BLOCK_SIZE_MAX 65536

struct round {
	const struct look_door *door;
	struct initiator_login login;
	int64_t deadline_ms;
};

static int64_t in_ms(const struct round *round, int64_t ms)
{
	int64_t then_ms = round->door->now_ms() + ms;

	return MIN(then_ms, round->deadline_ms);
}

static json_t *result_json(enum health_result result, const char *text, json_t *luns)
{
	json_t *item = json_pack("{s:s, s:o}", "result", health_result_name(result), "text", json_string(text) ?: json_string("?"));

	if (luns)
		json_object_set_new(item, "luns", luns);
	return item;
}

/* --- the task ----------------------------------------------------------------------------------------------------------*/

static int parse_lun(json_t *item, struct health_lun *ret)
{
	json_int_t block = -1, block_size = 0;
	int port_group, state;

	*ret = (struct health_lun){ 0 };
	if (json_unpack(item, "{s:i, s:s, s:i, s:i, s?I, s?I}", "lun", &ret->lun, "naa", &ret->naa, "port_group", &port_group,
			"state", &state, "block", &block, "block_size", &block_size) < 0)
		return -EINVAL;
	ret->reads = json_object_get(item, "block") != NULL;
	if (ret->lun < 0 || ret->lun > LUN_MAX || strlen(ret->naa) != 32 || port_group < 0 || port_group > UINT16_MAX || state < 0 ||
	    state > 2 ||
	    (ret->reads && (block < 0 || block_size < 512 || block_size > BLOCK_SIZE_MAX)))
		return -EINVAL;
	ret->port_group = (uint16_t)port_group;
	ret->state = (uint8_t)state;
	ret->block = (uint64_t)block;
	ret->block_size = (uint32_t)block_size;
	return 0;
}

/* Before the first look: a task that is wrong has no answer. */
static int check_looks(const json_t *looks)
{
	json_t *look, *lun;
	size_t i, k;

	json_array_foreach (looks, i, look) {
		struct health_lun parsed;

		if (!json_string_value(json_object_get(look, "portal")) || !json_string_value(json_object_get(look, "target")) ||
		    !json_is_array(json_object_get(look, "luns")))
			return -EINVAL;
		json_array_foreach (json_object_get(look, "luns"), k, lun) {
			if (parse_lun(lun, &parsed) < 0)
				return -EINVAL;
		}
	}
	return json_is_array(looks) ? 0 : -EINVAL;
}

/* --- looking -----------------------------------------------------------------------------------------------------------*/

static void ask(const struct round *round, struct initiator *initiator, const struct health_lun *lun, const struct health_step *step,
		struct health_answer *ret)
{
	int64_t deadline_ms = in_ms(round, ASK_MS);
	struct health_command command;

	step->ask(lun, &command);
	for (int i = 0; i < NEWS_MAX; i++) {
		round->door->ask(initiator, lun->lun, &command, deadline_ms, ret);
		if (!health_is_news(ret))
			return;
	}
}

static enum health_result look_at_lun(const struct round *round, struct initiator *initiator, const struct health_lun *lun, char *text)
{
	enum health_result result = HEALTH_GOOD;
	const struct health_step *step;

	for (unsigned int i = 0; result == HEALTH_GOOD && (step = health_step(lun, i)); i++) {
		struct health_answer answer;

		if (in_ms(round, ASK_MS) == round->deadline_ms) /* too little time left to call it silent */
			return HEALTH_UNKNOWN;
		ask(round, initiator, lun, step, &answer);
		result = step->judge(lun, &answer, text);
	}
	return result;
}

static json_t *look_at(struct round *round, json_t *look)
{
	json_t *luns = json_array(), *item;
	struct initiator *initiator = NULL;
	struct err err = ERR_INIT;
	bool is_open;
	size_t i;

	round->login.portal = json_string_value(json_object_get(look, "portal"));
	round->login.target = json_string_value(json_object_get(look, "target"));
	if (in_ms(round, ASK_MS) == round->deadline_ms)
		err_set(&err, -ETIME, "no time left");
	else
		(void)round->door->login(&round->login, in_ms(round, ASK_MS), &initiator, &err);
	is_open = initiator;
	json_array_foreach (json_object_get(look, "luns"), i, item) {
		char text[HEALTH_TEXT_SIZE] = "";
		enum health_result result = HEALTH_UNKNOWN;
		struct health_lun lun;

		if (is_open && parse_lun(item, &lun) == 0)
			result = look_at_lun(round, initiator, &lun, text);
		is_open &= result != HEALTH_SILENT;
		json_array_append_new(luns, result_json(result, text, NULL));
	}
	round->door->end(initiator, in_ms(round, END_MS));
	return result_json(initiator ? HEALTH_GOOD : err.code == -ETIME ? HEALTH_UNKNOWN : HEALTH_LOGIN, err.text, luns);
}

json_t *look_round(json_t *task, const struct look_door *door, struct err *err)
{
	struct round round = { .door = door };
	json_t *looks, *answers = json_array(), *look;
	json_int_t limit_ms;
	size_t i;

	if (json_unpack(task, "{s:s, s:s, s:s, s:I, s:o}", "initiator", &round.login.name, "user", &round.login.user, "password",
			&round.login.password, "limit_ms", &limit_ms, "looks", &looks) < 0 || check_looks(looks) < 0) {
		json_decref(answers);
		err_set(err, -EINVAL, "not a task");
		return NULL;
	}
	round.deadline_ms = door->now_ms() + limit_ms;
	json_array_foreach (looks, i, look)
		json_array_append_new(answers, look_at(&round, look));
	return json_pack("{s:o}", "looks", answers);
}
