/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fence agent of the ClusterLabs family (FenceAgentAPI): options as key=value lines on its standard input, exit status 0
 * means that the action has been done and, for "off", that the node has been seen to be without power.
 * Blocks until the agent has ended or the deadline has come: workers only.
 */
#ifndef HA_FENCE_FENCE_H
#define HA_FENCE_FENCE_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/err.h"

struct fence_option {
	const char *key, *value;
};

struct fence_request {
	const char *dir;   /* where fence agents live, NULL: /usr/sbin */
	const char *agent; /* file name in `dir`, e.g. "fence_ipmilan" */
	const char *action; /* NULL: "off" */
	const struct fence_option *options; /* of the cluster */
	size_t n_options;
	const struct fence_option *node_options; /* of the node to fence; these win where both name a key */
	size_t n_node_options;
	int deadline_ms;
};

/* 0: the action has been done. -ETIMEDOUT: not done in time, nothing is known. -EINVAL: a name or option that no agent could
 * understand (nothing was run). Otherwise what run_cmd() returns. The text never contains the value of a secret option, even if the
 * agent prints it; it does contain what else the agent said. */
int fence_run(const struct fence_request *request, struct err *err) must_check;

#endif
