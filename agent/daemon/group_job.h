/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps that move a group on this node, as one blocking piece of work: DRBD role, gates, ALUA states, in the order of
 * the design's section 3. Runs in a worker; knows nothing of the cluster.
 */
#ifndef AGENT_DAEMON_GROUP_JOB_H
#define AGENT_DAEMON_GROUP_JOB_H

#include "agent/daemon/config_ref.h"
#include "agent/daemon/timeline.h"
#include "base/err.h"
#include "ha/core/core.h"
#include "target-config/lio/lio.h"

enum group_job_kind {
	GROUP_JOB_ACQUIRE,    /* promote, open the gates, ALUA last; undone in reverse if a step fails */
	GROUP_JOB_RELEASE,    /* gates to holding (drains), ALUA, demote; where hosts could not bear it: ALUA, close, demote */
	GROUP_JOB_STAND_DOWN, /* ALUA, close, demote; a failed step does not stop the others */
	GROUP_JOB_LET_GO,     /* ALUA, then gates that hold are closed: what they hold fails and finds the other paths */
	GROUP_JOB_REFRESH,    /* while serving: promote, grow and open what the document has brought; -EAGAIN: not all yet */
	GROUP_JOB_ALUA,       /* only the states */
	GROUP_JOB_INSPECT,    /* what is open? */
};

struct group_job {
	enum group_job_kind kind;
	char group[HA_NAME_SIZE];
	uint64_t epoch;
	bool peer_lost;
	bool cancelled; /* atomic; set from the loop: an acquire that has not opened everything yet turns back */
	struct config_ref *live;
	struct lio_roots roots;
	char template_path[64];
	unsigned int threads;
	uint32_t me;
	/* port groups: node ids and the states they get before (acquire: not used) and after the work */
	uint32_t nodes[HA_COPIES_MAX];
	size_t n_nodes;
	enum lio_alua_state before[HA_COPIES_MAX], after[HA_COPIES_MAX];
	/* results */
	bool holding;    /* release, inspect: gates hold; the ports of this node are active/non-optimized */
	bool found_open; /* inspect: all gates open */
	bool found_any;  /* inspect: at least one gate open */
	struct timeline timeline;
};

const char *group_job_name(enum group_job_kind kind);
int group_job_run(void *job, struct err *err); /* a work_fn */

#endif
