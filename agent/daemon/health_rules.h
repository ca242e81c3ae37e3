/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What looks at the own portals (agent/health) add up to: which faults last, and whether a group is to leave for them. Pure.
 *
 * A fault lasts after three looks in a row that saw one, over half a minute at least: a host tries again for longer than that.
 */
#ifndef AGENT_DAEMON_HEALTH_RULES_H
#define AGENT_DAEMON_HEALTH_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define HEALTH_LASTS_LOOKS 3
#define HEALTH_LASTS_MS 30000
#define HEALTH_BRAKE_MS 3600000

struct health_view { /* one thing as it was seen; results and texts as agent/health/look.h has them */
	const char *portal, *target; /* both "": the looking itself */
	const char *group;           /* "": the portal */
	uint64_t epoch;              /* of the group: what was seen in another does not count */
	const char *result, *text;
};

struct health_rules;

struct health_rules *health_rules_new(void) must_check;
void health_rules_free(struct health_rules *rules);

/* A round: what is not named in it is not served any more, or on the move, and begins anew. */
void health_rules_begin(struct health_rules *rules);
/* "good" ends a fault; "unknown" changes nothing. */
void health_rules_saw(struct health_rules *rules, const struct health_view *view, int64_t now_ms);
/* This portal could not be looked at, since the last look has not ended yet: all is as it was then. */
void health_rules_still(struct health_rules *rules, const char *portal, const char *target, int64_t now_ms);
void health_rules_end(struct health_rules *rules);

/* The faults that last, in the order in which they were seen first. */
typedef void health_fault_fn(void *ctx, const struct health_view *fault);
void health_rules_faults(const struct health_rules *rules, health_fault_fn *fn, void *ctx);

struct health_peer {
	uint32_t nodeid;
	bool able; /* it could take the group now */
	bool gave; /* it has given the group away itself, as health_rules_gave() has it */
};
/* Who is to have a group that this node owns: the first that can, if the owner's reads fail and that lasts. A hang is no reason (the
 * next node may hang as well, and a host's command outlives it), nor is any other fault. 0: nobody, or it stays. */
uint32_t health_rules_successor(const struct health_rules *rules, const char *group, const struct health_peer *peers, size_t n_peers,
				int64_t now_ms);
/* The brake: a group that was given away is not given away again by this node, nor back to it, for an hour. */
void health_rules_give(struct health_rules *rules, const char *group, int64_t now_ms);
bool health_rules_gave(const struct health_rules *rules, const char *group, int64_t now_ms);

#endif
