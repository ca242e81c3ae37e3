/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How full a thin pool is, in words: what the other nodes are told, so that it is told when it changes. Pure. */
#ifndef AGENT_DAEMON_POOL_RULES_H
#define AGENT_DAEMON_POOL_RULES_H

enum pool_state { POOL_GOOD, POOL_WARNING, POOL_ERROR };

#define POOL_CALM_PERCENT 2 /* so far below its threshold a state ends: what comes and goes there is one alarm */

enum pool_state pool_rules_state(enum pool_state before, double percent, unsigned int warn_percent, unsigned int error_percent);
const char *pool_state_name(enum pool_state state);

#endif
