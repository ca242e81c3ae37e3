// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands (table in docs/PROTOCOL.md): for each, a check that says whether and why not, and what it does. A check must
 * refuse whatever has been overtaken: another epoch, another owner, another disappearance of the node.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ha/core/replica.h"

/* The group of an answer of its owner, if that is still what it answers. */
static struct ha_state_group *answered_group(const struct replica *replica, uint32_t origin,
					     const struct ha_command *command)
{
	struct ha_state_group *group = state_group(&replica->state, command->group);

	if (!group || !group_is_at(group, origin) || group->epoch != command->number)
		return NULL;
	return group;
}

static void set_reason(struct ha_state_group *group, const char *text)
{
	snprintf(group->reason, sizeof(group->reason), "%s", text);
}

/* --- MOVE -------------------------------------------------------------------------------------------------------------*/

static int check_target(const struct replica *replica, const struct ha_state_group *group, uint32_t to, struct err *err)
{
	const char *name = group->spec.name, *node = node_name(replica->settings, to);

	if (!ha_set_has(group->spec.nodes, to))
		return err_set(err, -EINVAL, "group %s: cannot move to %s: it has no copy of it", name, node);
	if (!state_node_is(&replica->state, to, HA_NODE_UP))
		return err_set(err, -EHOSTDOWN, "group %s: cannot move to %s: its agent is not part of the cluster (is %s): "
			       "start lunwardd there", name, node,
			       state_node_is(&replica->state, to, HA_NODE_AWAY) ? "away" : "down");
	if (state_node(&replica->state, to)->maintenance)
		return err_set(err, -EBUSY, "group %s: cannot move to %s: it is in maintenance: lunward node maintenance %s off", name, node,
			       node);
	if (!ha_set_has(group->current, to))
		return err_set(err, -ESTALE, "group %s: cannot move to %s: its copy is not current: wait until it is "
			       "resynchronised", name, node);
	if (!ha_set_has(group->ready, to))
		return err_set(err, -ENOTCONN, "group %s: cannot move to %s: its storage or target is not ready there: see "
			       "the problems of that node in the status", name, node);
	return 0;
}

static int move_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = state_group(&replica->state, command->group);
	uint32_t to = command->nodeid;

	if (!group)
		return err_set(err, -ENOENT, "group %s: there is no such group", command->group);
	/* A failback was decided on what was so at that epoch; an operator means the group as it is. */
	if (command->yes && (group->epoch != command->number || group->phase != HA_PHASE_OWNED || group->owner != origin))
		return -ESTALE;
	switch (group->phase) {
	case HA_PHASE_ACQUIRING:
		if (to && group->owner == to)
			return -EALREADY;
		return err_set(err, -EBUSY, "group %s: is being acquired by %s: wait until that has ended", command->group,
			       node_name(replica->settings, group->owner));
	case HA_PHASE_RELEASING:
		return err_set(err, -EBUSY, "group %s: is being released by %s: wait until that has ended", command->group,
			       node_name(replica->settings, group->owner));
	case HA_PHASE_ORPHANED:
		if (!state_has_evidence(&replica->state, group->owner))
			return err_set(err, -EHOSTUNREACH, "group %s: its owner %s was lost and may still be writing: have it "
				       "fenced, or power it off and confirm that it is down", command->group,
				       node_name(replica->settings, group->owner));
		break;
	case HA_PHASE_OWNED:
		if (group->owner == to)
			return -EALREADY;
		if (!state_node_is(&replica->state, group->owner, HA_NODE_UP))
			return err_set(err, -EHOSTUNREACH, "group %s: the agent of its owner %s does not answer: start lunwardd "
				       "there", command->group, node_name(replica->settings, group->owner));
		break;
	case HA_PHASE_FREE:
		if (!to && group->held)
			return -EALREADY;
		break;
	}
	return to ? check_target(replica, group, to, err) : 0;
}

static void move_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_group *group = state_group(&replica->state, command->group);

	(void)origin;
	set_clear(group->failed);
	set_reason(group, "");
	group->held = command->nodeid == 0;
	group->from = 0;
	group->stays = false;
	if (!command->yes)
		group->losses = 0;
	if (group->phase == HA_PHASE_OWNED) {
		group->to = command->nodeid;
		replica_enter(replica, group, HA_PHASE_RELEASING, group->owner);
	} else if (command->nodeid) {
		replica_acquire(replica, group, command->nodeid);
	} else {
		replica_enter(replica, group, HA_PHASE_FREE, 0);
	}
}

/* --- answers of an owner ------------------------------------------------------------------------------------------------*/

static int released_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = answered_group(replica, origin, command);

	(void)err;
	return group && group->phase == HA_PHASE_RELEASING ? 0 : -ESTALE;
}

static void released_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_group *group = state_group(&replica->state, command->group);
	uint32_t to = group->to;

	set_reason(group, command->text);
	if (command->result) {
		group->held = false;
		group->stays = true;
		replica_resume(replica, group);
		return;
	}
	replica_enter(replica, group, HA_PHASE_FREE, 0);
	group->from = to ? origin : 0;
	/* Between MOVE and now the target may have gone, or its copy may have missed writes. */
	if (to && is_candidate(&replica->state, group, to)) {
		replica_acquire(replica, group, to);
	} else if (to) {
		set_reason(group, "the node it was to move to cannot take it any more");
		if (is_able(&replica->state, group, origin))
			replica_acquire(replica, group, origin);
	}
}

static int acquired_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = answered_group(replica, origin, command);

	(void)err;
	return group && group->phase == HA_PHASE_ACQUIRING ? 0 : -ESTALE;
}

static void acquired_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_group *group = state_group(&replica->state, command->group);

	if (command->result) {
		set_add(group->failed, origin);
		set_reason(group, command->text);
		replica_note(replica, group, true, "%s could not acquire it: %s", node_name(replica->settings, origin),
			     command->text);
		replica_enter(replica, group, HA_PHASE_FREE, 0);
		return;
	}
	set_clear(group->failed);
	group->stays = group->stays || group->from == origin; /* it came back from where it was to go */
	group->from = 0;
	group->lost = false;
	replica_enter(replica, group, HA_PHASE_OWNED, origin);
}

/* The owner had to stop (quorum, restart) and has stopped: it begins anew, at a new epoch. */
static int lost_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = answered_group(replica, origin, command);

	(void)err;
	return group && group->phase != HA_PHASE_RELEASING ? 0 : -ESTALE;
}

static void lost_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_group *group = state_group(&replica->state, command->group);

	set_reason(group, command->text);
	if (ha_set_has(group->current, origin))
		replica_acquire(replica, group, origin);
	else
		replica_enter(replica, group, HA_PHASE_FREE, 0);
}

/* --- what nodes know ------------------------------------------------------------------------------------------------------*/

static int evidence_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_node *node = state_node(&replica->state, command->nodeid);
	const char *name = node_name(replica->settings, command->nodeid);

	(void)origin;
	if (!node)
		return err_set(err, -ENOENT, "node %u: there is no such node", command->nodeid);
	if (node->state != HA_NODE_DOWN)
		return err_set(err, -EBUSY, "node %s: is not down but %s", name, ha_node_state_name(node->state));
	/* Proof of an earlier death says nothing about a node that has been back since. */
	if (node->down_seq != command->number)
		return err_set(err, -ESTALE, "node %s: has been back in between", name);
	if (node->evidence != HA_EVIDENCE_NONE)
		return -EALREADY;
	if (command->result && strcmp(node->reason, command->text) == 0)
		return -EALREADY;
	return 0;
}

static void evidence_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_node *node = state_node(&replica->state, command->nodeid);
	const char *name = node_name(replica->settings, node->nodeid);

	(void)origin;
	node->changed = replica->state.version;
	if (command->result) {
		snprintf(node->reason, sizeof(node->reason), "%s", command->text);
		replica_note(replica, NULL, true, "node %s: could not be fenced: %s", name, command->text);
		return;
	}
	node->evidence = command->evidence;
	node->reason[0] = '\0';
	replica_note(replica, NULL, false, "node %s: is proven down (%s)", name, ha_evidence_name(node->evidence));
}

static int current_yes_check(const struct replica *replica, const struct ha_state_group *group, uint32_t origin,
			     const struct ha_command *command)
{
	if (ha_set_has(group->current, command->nodeid))
		return -EALREADY;
	/* One that was said before a copy was taken out and comes after it; CPG keeps one sender's order, a second try may not. */
	if ((uint32_t)command->result != group->outdates)
		return -ESTALE;
	/* Only who has every acknowledged write can vouch for another copy, and nobody while another may be writing. An owner whose disk
	 * has failed has them through its peer, until its own has been resynchronised. */
	if (!ha_set_has(group->spec.nodes, command->nodeid) ||
	    (!ha_set_has(group->current, origin) && (origin != command->nodeid || group->owner != origin)))
		return -EPERM;
	if (state_node_is(&replica->state, command->nodeid, HA_NODE_DOWN))
		return -EPERM;
	return group->phase == HA_PHASE_FREE || (group->phase == HA_PHASE_OWNED && group->owner == origin) ? 0 : -EPERM;
}

static int current_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = state_group(&replica->state, command->group);

	if (!group)
		return err_set(err, -ENOENT, "group %s: there is no such group", command->group);
	if (group->epoch != command->number)
		return err_set(err, -ESTALE, "group %s: has changed hands", command->group);
	if (command->yes)
		return current_yes_check(replica, group, origin, command);
	if (origin != command->nodeid && (!group_is_at(group, origin) || !ha_set_has(group->current, origin)))
		return err_set(err, -EPERM, "group %s: %s does not own it with a current copy", command->group,
			       node_name(replica->settings, origin));
	if (!ha_set_has(group->current, command->nodeid))
		return -EALREADY;
	if (set_count(group->current) == 1)
		return err_set(err, -EPERM, "group %s: the copy on %s is the only current one", command->group,
			       node_name(replica->settings, command->nodeid));
	return 0;
}

static void current_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_group *group = state_group(&replica->state, command->group);

	(void)origin;
	if (command->yes) {
		set_add(group->current, command->nodeid);
	} else {
		set_del(group->current, command->nodeid);
		group->outdates++;
	}
	replica_note(replica, group, !command->yes, "the copy on %s is %s", node_name(replica->settings, command->nodeid),
		     command->yes ? "current" : "no longer current");
}

static int ready_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = state_group(&replica->state, command->group);

	(void)err;
	if (!group || !ha_set_has(group->spec.nodes, origin))
		return -ENOENT;
	return ha_set_has(group->ready, origin) == command->yes ? -EALREADY : 0;
}

static void ready_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_group *group = state_group(&replica->state, command->group);

	if (command->yes) {
		set_add(group->ready, origin);
		set_del(group->failed, origin);
		group->stays = false;
	} else {
		set_del(group->ready, origin);
	}
}

static int portals_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_node *node = state_node(&replica->state, command->nodeid);

	(void)err;
	return node && node->portal_holder == origin && node->portal_next ? 0 : -ESTALE;
}

static void portals_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_node *node = state_node(&replica->state, command->nodeid);

	(void)origin;
	node->portal_holder = node->portal_next;
	node->portal_next = 0;
	node->changed = replica->state.version;
}

static int give_up_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	(void)origin;
	(void)err;
	if (!state_node_is(&replica->state, command->nodeid, HA_NODE_AWAY))
		return -ESTALE;
	return replica_tally(replica, command->nodeid)->owes ? 0 : -ESTALE;
}

static void give_up_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	(void)origin;
	replica_note(replica, NULL, true, "node %s: is in the membership but owes an answer for too long: counts as down",
		     node_name(replica->settings, command->nodeid));
	replica_node_down(replica, state_node(&replica->state, command->nodeid));
}

static int maintenance_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_node *node = state_node(&replica->state, command->nodeid);

	(void)origin;
	if (!node)
		return err_set(err, -ENOENT, "node %u: there is no such node", command->nodeid);
	if (command->number >= HA_MAINTENANCE_COUNT)
		return err_set(err, -EINVAL, "node %s: no such kind of maintenance", node_name(replica->settings, command->nodeid));
	return node->maintenance == command->number ? -EALREADY : 0;
}

static void maintenance_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_node *node = state_node(&replica->state, command->nodeid);

	(void)origin;
	node->maintenance = (enum ha_maintenance)command->number;
	node->changed = replica->state.version;
	for (size_t i = 0; i < replica->state.n_groups; i++)
		replica->state.groups[i].stays = false;
	replica_note(replica, NULL, false, "node %s: maintenance is %s", node_name(replica->settings, node->nodeid),
		     ha_maintenance_name(node->maintenance));
}

static int calm_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = answered_group(replica, origin, command);

	(void)err;
	return group && group->phase == HA_PHASE_OWNED && group->losses ? 0 : -ESTALE;
}

static void calm_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	(void)origin;
	state_group(&replica->state, command->group)->losses = 0;
}

/* A node speaks for itself, and knows when (ha/core/lease.c): to be cut off it need not be UP in the others' eyes. */
static int watchdog_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_node *node = state_node(&replica->state, origin);

	(void)err;
	if (!node || command->nodeid != origin || command->number > UINT32_MAX)
		return -EPERM;
	return node->watchdog_ms == command->number ? -EALREADY : 0;
}

static void watchdog_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_node *node = state_node(&replica->state, origin);

	node->watchdog_ms = (uint32_t)command->number;
	node->changed = replica->state.version;
	if (command->number)
		replica_note(replica, NULL, false, "node %s: its watchdog is armed: once cut off it is reset within %.1f s",
			     node_name(replica->settings, origin), (double)command->number / 1000);
	else
		replica_note(replica, NULL, false, "node %s: has no watchdog any more", node_name(replica->settings, origin));
}

/* --- dispatch ----------------------------------------------------------------------------------------------------------*/

static int config_check_any(const struct replica *replica, uint32_t origin, const struct ha_command *command,
			    struct err *err)
{
	(void)origin;
	return config_check(replica, command, err);
}

static void config_apply_any(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	(void)origin;
	config_apply(replica, command);
}

static const struct {
	int (*check)(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err);
	void (*apply)(struct replica *replica, uint32_t origin, const struct ha_command *command);
	bool of_group; /* changes command.group and nothing else */
} handlers[HA_CMD_COUNT] = {
	[HA_CMD_CONFIG] = { config_check_any, config_apply_any, .of_group = false },
	[HA_CMD_MOVE] = { move_check, move_apply, .of_group = true },
	[HA_CMD_RELEASED] = { released_check, released_apply, .of_group = true },
	[HA_CMD_ACQUIRED] = { acquired_check, acquired_apply, .of_group = true },
	[HA_CMD_LOST] = { lost_check, lost_apply, .of_group = true },
	[HA_CMD_EVIDENCE] = { evidence_check, evidence_apply, .of_group = false },
	[HA_CMD_CURRENT] = { current_check, current_apply, .of_group = true },
	[HA_CMD_READY] = { ready_check, ready_apply, .of_group = true },
	[HA_CMD_PORTALS] = { portals_check, portals_apply, .of_group = false },
	[HA_CMD_GIVE_UP] = { give_up_check, give_up_apply, .of_group = false },
	[HA_CMD_MAINTENANCE] = { maintenance_check, maintenance_apply, .of_group = false },
	[HA_CMD_CALM] = { calm_check, calm_apply, .of_group = true },
	[HA_CMD_RECORD] = { record_check, record_apply, .of_group = true },
	[HA_CMD_WATCHDOG] = { watchdog_check, watchdog_apply, .of_group = false },
};

int replica_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	if ((size_t)command->type >= ARRAY_SIZE(handlers) || !handlers[command->type].check)
		return -EBADMSG;
	return handlers[command->type].check(replica, origin, command, err);
}

/* A request counts once: the sender repeats it until it sees it ordered, and repeats from the oldest that was not. */
static bool is_next_request(const struct ha_state_node *node, const struct ha_command *command)
{
	uint64_t last = node->request_incarnation == command->incarnation ? node->request_seq : 0;

	return command->seq == last + 1;
}

static void apply_and_settle(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state_group *group;

	if (!handlers[command->type].of_group) {
		handlers[command->type].apply(replica, origin, command);
		replica_settle(replica);
		return;
	}
	group = state_group(&replica->state, command->group);
	replica_tally_group(replica, group, false);
	handlers[command->type].apply(replica, origin, command);
	replica_tally_group(replica, group, true);
	replica_settle_one(replica, group);
}

int replica_apply(struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	struct ha_state_node *node = state_node(&replica->state, origin);
	int rc;

	replica->state.version++;
	if (!node || (command->seq && !is_next_request(node, command)))
		return -EILSEQ;
	rc = replica_check(replica, origin, command, err);
	if (rc == 0)
		apply_and_settle(replica, origin, command);
	if (rc == -EALREADY)
		rc = 0;
	if (command->seq) {
		node->request_incarnation = command->incarnation;
		node->request_seq = command->seq;
		node->request_result = rc;
	}
	return rc;
}
