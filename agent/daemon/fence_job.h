/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the document's fence agent against a node and tells the core. */
#ifndef AGENT_DAEMON_FENCE_JOB_H
#define AGENT_DAEMON_FENCE_JOB_H

#include "agent/daemon/agent.h"

void fence_job_start(struct agent *agent, uint32_t nodeid, uint64_t down_seq);
/* The same for a node that is well, on an operator's word: the core learns of it when the node is gone, and fences it as any other. */
void fence_job_drill(struct agent *agent, uint32_t nodeid);

#endif
