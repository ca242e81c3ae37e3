/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is logged in at this node, what was read and written here, and sending a host away. Only when somebody asks: see
 * target-config/lio/sessions.h for what reading costs. Each function answers the request, later. */
#ifndef AGENT_DAEMON_SESSIONS_H
#define AGENT_DAEMON_SESSIONS_H

#include "agent/daemon/agent.h"

/* host: the document's name or an initiator's; volume; either may be NULL: all. */
void sessions_list(struct agent *agent, struct ctl_request *request, const char *host, const char *volume);
/* Numbers only, for metrics. */
void sessions_counters(struct agent *agent, struct ctl_request *request);
/* Cuts the TCP connections of a host's sessions, with one target or all; nothing keeps it from logging in again. */
void sessions_drop(struct agent *agent, struct ctl_request *request, const char *host, const char *target);

#endif
