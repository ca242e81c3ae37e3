// SPDX-License-Identifier: GPL-2.0-or-later
/* lunward-health: looks at this node's portals as a host does. Started by lunwardd, for one round; what they tell each other: look.h. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/health/look.h"
#include "base/clock.h"

int main(int argc, char **argv)
{
	const struct look_door door = { initiator_login, initiator_ask, initiator_end, clock_now_ms };
	struct err err = ERR_INIT;
	json_t *task, *answer;
	int rc;

	(void)argv;
	if (argc > 1) {
		fprintf(stderr, "Usage: lunward-health <TASK\n");
		return 2;
	}
	task = json_loadf(stdin, JSON_REJECT_DUPLICATES, NULL);
	answer = look_round(task, &door, &err);
	json_decref(task);
	if (!answer) {
		fprintf(stderr, "lunward-health: %s\n", err.text);
		return EXIT_FAILURE;
	}
	rc = json_dumpf(answer, stdout, JSON_COMPACT);
	json_decref(answer);
	return rc < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
