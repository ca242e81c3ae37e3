/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One iSCSI session over TCP: the only file that knows libiscsi is initiator.c. Deadlines are by base/clock. */
#ifndef AGENT_HEALTH_INITIATOR_H
#define AGENT_HEALTH_INITIATOR_H

#include "agent/health/judge.h"
#include "base/err.h"

struct initiator;

struct initiator_login {
	const char *name, *user, *password;
	const char *portal; /* "10.77.0.1:3260", "[fd00::1]:3260" */
	const char *target;
};

int initiator_login(const struct initiator_login *login, int64_t deadline_ms, struct initiator **ret, struct err *err) must_check;
/* Logs out if it can, in the time there is; what is under way then is the target's to end. NULL is allowed. */
void initiator_end(struct initiator *initiator, int64_t deadline_ms);

/* answer->data is valid until the next call. An answer that did not arrive ends the session: nothing arrives after it. */
void initiator_ask(struct initiator *initiator, int lun, struct health_command *command, int64_t deadline_ms,
		   struct health_answer *ret_answer);

#endif
