// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A daemon that only talks: canned answers for the tests of the command. Usage: test_cli_server SOCKET ANSWERS
 * ANSWERS is a JSON object, command -> {"progress": [...], "updates": [...], "result": {...} or "error": [errno, text]};
 * "results": [...] one after the other, the last for good;
 * "hang": true never answers, "hangup": true ends the program instead of answering. Says {"ready": true}, then each request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test_ctl_loop.h"


static const json_t *answers;
static const char *const names[] = { "status", "watch", "version", "config-show", "check", "apply", "move", "release",
				     "confirm-down", "promote", "demote", "maintenance", "fence-owner", "session-list", "session-drop", "counters" };

static void say(json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS);

	puts(text);
	(void)fflush(stdout);
	free(text);
	json_decref(line);
}

static void answer(const char *name, struct ctl_request *request, const json_t *args)
{
	json_t *canned = json_object_get(answers, name), *results = json_object_get(canned, "results");
	const json_t *item, *error = json_object_get(canned, "error");
	size_t i;

	say(json_pack("{s:s, s:O}", "command", name, "args", args));
	json_array_foreach (json_object_get(canned, "progress"), i, item)
		ctl_request_progress(request, json_string_value(item));
	json_array_foreach (json_object_get(canned, "updates"), i, item)
		ctl_request_update(request, json_deep_copy(item));
	if (json_is_true(json_object_get(canned, "hangup")))
		exit(0);
	if (json_is_true(json_object_get(canned, "hang")))
		return;
	if (error)
		ctl_request_fail(request, -(int)json_integer_value(json_array_get(error, 0)),
				 json_string_value(json_array_get(error, 1)));
	else if (results)
		ctl_request_ok(request, json_deep_copy(json_array_get(results, 0)));
	else
		ctl_request_ok(request, canned ? json_deep_copy(json_object_get(canned, "result")) : json_object());
	if (json_array_size(results) > 1)
		json_array_remove(results, 0);
}

#define HANDLER(n)                                                                                                     \
	static void on_##n(void *ctx, struct ctl_request *request, const json_t *args)                                 \
	{                                                                                                              \
		(void)ctx;                                                                                             \
		answer(names[n], request, args);                                                                       \
	}
HANDLER(0) HANDLER(1) HANDLER(2) HANDLER(3) HANDLER(4) HANDLER(5) HANDLER(6) HANDLER(7) HANDLER(8) HANDLER(9) HANDLER(10) HANDLER(11) HANDLER(12)
HANDLER(13) HANDLER(14) HANDLER(15)

int main(int argc, char **argv)
{
	static const struct ctl_command commands[] = {
		{ "status", true, on_0 }, { "watch", true, on_1 },  { "version", true, on_2 },
		{ "config-show", true, on_3 }, { "check", true, on_4 }, { "apply", false, on_5 },
		{ "move", false, on_6 },  { "release", false, on_7 }, { "confirm-down", false, on_8 },
		{ "promote", false, on_9 }, { "demote", false, on_10 },
		{ "maintenance", false, on_11 }, { "fence-owner", false, on_12 },
		{ "session-list", true, on_13 }, { "session-drop", false, on_14 }, { "counters", true, on_15 },
	};
	static struct test_loop loop;
	struct ctl_server_settings settings = { .path = argc == 3 ? argv[1] : "", .commands = commands,
						.n_commands = ARRAY_SIZE(commands), .ops = &test_loop_ops, .loop = &loop };
	struct ctl_server *server = NULL;
	struct err err = ERR_INIT;

	if (argc != 3)
		return 2;
	answers = json_load_file(argv[2], 0, NULL);
	if (!answers || ctl_server_open(&server, &settings, &err) < 0) {
		fprintf(stderr, "test_cli_server: %s\n", answers ? err.text : argv[2]);
		return 1;
	}
	say(json_pack("{s:b}", "ready", 1));
	for (;;)
		test_loop_step(&loop, -1);
}
