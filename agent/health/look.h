/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One round of looks at a node's own portals. What lunwardd and lunward-health say to each other, over standard input and output:
 *
 *   {"initiator": "iqn...", "user": "...", "password": "...", "limit_ms": 8000, "looks": [
 *     {"portal": "10.77.0.1:3260", "target": "iqn...", "luns": [
 *       {"lun": 1, "naa": "6001405...", "port_group": 1, "state": 0, "block": 77, "block_size": 512}]}]}
 *
 *   {"looks": [{"result": "good", "text": "", "luns": [{"result": "read", "text": "READ: CHECK CONDITION 02/08/00"}]}]}
 *
 * The answer has as many looks and luns as the task, in its order. state: the ALUA state that the port is to show. block: read if it is
 * there. Results: judge.h; those of LUNs at a portal with "login" are "unknown". After "silent" the session is over, and the portal's
 * other LUNs are unknown too.
 */
#ifndef AGENT_HEALTH_LOOK_H
#define AGENT_HEALTH_LOOK_H

#include <jansson.h>

#include "agent/health/initiator.h"

struct look_door { /* initiator.h's; tests give others */
	int (*login)(const struct initiator_login *login, int64_t deadline_ms, struct initiator **ret, struct err *err);
	void (*ask)(struct initiator *initiator, int lun, struct health_command *command, int64_t deadline_ms, struct health_answer *ret);
	void (*end)(struct initiator *initiator, int64_t deadline_ms);
	int64_t (*now_ms)(void);
};

/* The answer to a task; NULL and *err: it is none, which is lunwardd's mistake. Takes limit_ms at most, and a little. */
json_t *look_round(json_t *task, const struct look_door *door, struct err *err) must_check;

#endif
