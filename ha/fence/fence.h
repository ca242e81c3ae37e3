/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evidence that a node is off: by a fence agent of the ClusterLabs family (FenceAgentAPI) with options as key=value lines on its
 * standard input, whose exit status 0 means that the action has been done and, for "off", that the node has been seen to be without
 * power; by Pacemaker's fencer; by the node's own watchdog, whose time is waited for; or by several of these in order.
 * Blocks until what runs has ended or its deadline has come: workers only.
 */
#ifndef HA_FENCE_FENCE_H
#define HA_FENCE_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Has Pacemaker's fencer switch a node off and waits for its word. 0: the fencer has said, after it was asked, that the node is
 * off. Errors as those of fence_run(). `dir`: where stonith_admin is, NULL: /usr/sbin. */
int fence_pacemaker(const char *dir, const char *node, int timeout_s, struct err *err) must_check;

/* Waits until `bound_ms` after `since_ms` (monotonic), when the node was cut off at the latest: then its watchdog has reset it. Touches nothing.
 * 0: that time is over. -ENODEV: nobody knows of a watchdog of that node (bound_ms 0). -ETIME: it would take longer than timeout_ms
 * from since_ms on. */
int fence_watchdog(const char *node, int64_t since_ms, int64_t bound_ms, int timeout_ms, struct err *err) must_check;

/* So much of it is kept where the nodes agree on the reason: with several levels each has its share. */
#define FENCE_TEXT_MAX 250

struct fence_level {
	const char *label;            /* for people */
	enum fence_by {
		FENCE_BY_AGENT,     /* fence_run(request) */
		FENCE_BY_PACEMAKER, /* with `node` and `request.deadline_ms` */
		FENCE_BY_WATCHDOG,  /* likewise, and what follows */
	} by;
	const char *node;
	int64_t since_ms, watchdog_ms;
	struct fence_request request;
};

/* What came of a level, as soon as it is known: rc and text as those of fence_run(). */
typedef void fence_report_fn(void *ctx, const struct fence_level *level, int64_t took_ms, int rc, const char *text);

/* One level after the other until one succeeds; *ret_level is its index. If none does, the result is that of the last one, and
 * the text has the reasons of all. */
int fence_levels(const struct fence_level *levels, size_t n, fence_report_fn *report, void *ctx, size_t *ret_level,
		 struct err *err) must_check;

#endif
