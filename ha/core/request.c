// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests: sent as numbered commands, in order, until they are seen ordered; answered when what they did is committed, or
 * when they are refused. What CPG may lose or a new term may void is sent again; the numbers in the replicated state keep a
 * request from taking effect twice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/internal.h"

static void free_request(struct request *request)
{
	free((void *)(uintptr_t)request->command.document);
	free(request->command.groups);
	free(request);
}

void requests_free(struct ha_core *core)
{
	while (core->requests) {
		struct request *request = core->requests;

		core->requests = request->next;
		free_request(request);
	}
	core->requests_tail = &core->requests;
}

static void reply(struct ha_core *core, uint64_t id, int result, const char *text)
{
	struct action *action = action_add(core, HA_ACT_REPLY);

	action->a.request_id = id;
	action->a.result = result;
	snprintf(action->text, sizeof(action->text), "%s", text);
}

static void replyf(struct ha_core *core, uint64_t id, const struct err *err)
{
	reply(core, id, err->code, err->text);
}

/* --- a new request --------------------------------------------------------------------------------------------------------*/

static void take_config(struct ha_command *command, const struct ha_event *event)
{
	command->type = HA_CMD_CONFIG;
	command->number = event->base_version;
	command->document = xmemdup(event->data, event->size);
	command->document_size = event->size;
	command->groups = xmemdup(event->groups, event->n_groups * sizeof(*event->groups));
	command->n_groups = event->n_groups;
	for (size_t i = 1; i < event->n_groups; i++) {
		struct ha_group_spec spec = command->groups[i];
		size_t at = i;

		for (; at > 0 && strcmp(command->groups[at - 1].name, spec.name) > 0; at--)
			command->groups[at] = command->groups[at - 1];
		command->groups[at] = spec;
	}
}

static int check_size(const struct ha_event *event, struct err *err)
{
	if (event->size > HA_CONFIG_SIZE_MAX)
		return err_set(err, -E2BIG, "the document has %zu bytes, the limit is %u: shorten it, for example by fewer "
			       "comments", event->size, HA_CONFIG_SIZE_MAX);
	if (event->n_groups > HA_GROUPS_MAX)
		return err_set(err, -E2BIG, "the document has %zu groups, the limit is %u: join some", event->n_groups,
			       HA_GROUPS_MAX);
	return 0;
}

static int check_confirm(const struct ha_core *core, const struct ha_event *event, struct err *err)
{
	const char *name = node_name(&core->settings, event->nodeid);

	if (!core_is_active(core))
		return err_set(err, -EAGAIN, "node %s: the nodes are agreeing on who takes part: try again in a few seconds",
			       name);
	if (ids_has(&core->ring, event->nodeid))
		return err_set(err, -EBUSY, "node %s: is in the Corosync membership, so it is running: power it off first",
			       name);
	return 0;
}

static int take_record(const struct ha_core *core, struct ha_command *command, const struct ha_event *event, struct err *err)
{
	if (event->size > HA_RECORD_SIZE_MAX || strlen(event->text) >= sizeof(command->text))
		return err_set(err, -E2BIG, "group %s: a record of %zu bytes, the limit is %u", event->group, event->size, HA_RECORD_SIZE_MAX);
	/* What is not committed may be undone and its version be given to something else. */
	if (event->base_version > core->committed)
		return err_set(err, -ESTALE, "group %s: record %s: decided on what is not agreed yet", event->group, event->text);
	command->type = HA_CMD_RECORD;
	command->number = event->base_version;
	snprintf(command->text, sizeof(command->text), "%s", event->text);
	command->document = xmemdup(event->data ? event->data : "", event->size);
	command->document_size = event->size;
	return 0;
}

static int fill_command(const struct ha_core *core, const struct ha_event *event, struct ha_command *command,
			struct err *err)
{
	const struct ha_state_node *node;
	int rc = 0;

	if (event->group && strlen(event->group) >= HA_NAME_SIZE)
		return err_set(err, -ENOENT, "group %.80s...: there is no such group", event->group);
	snprintf(command->group, sizeof(command->group), "%s", event->group ? event->group : "");
	command->nodeid = event->nodeid;
	switch (event->request) {
	case HA_REQ_CONFIG:
		rc = check_size(event, err);
		if (rc == 0)
			take_config(command, event);
		break;
	case HA_REQ_MOVE:
		command->type = HA_CMD_MOVE;
		break;
	case HA_REQ_MAINTENANCE:
		command->type = HA_CMD_MAINTENANCE;
		command->number = event->maintenance;
		break;
	case HA_REQ_CONFIRM_DOWN:
		rc = check_confirm(core, event, err);
		node = state_node(&core->replica.state, event->nodeid);
		command->type = HA_CMD_EVIDENCE;
		command->evidence = event->evidence ? event->evidence : HA_EVIDENCE_OPERATOR;
		command->number = node ? node->down_seq : 0;
		break;
	case HA_REQ_RECORD:
		rc = take_record(core, command, event, err);
		break;
	case HA_REQ_OUTDATE:
		command->type = HA_CMD_CURRENT;
		break;
	}
	return rc;
}

static int refuse_passive(const struct ha_core *core, struct err *err)
{
	bool passive;
	const char *reason = core_passive_reason(core, &passive);

	return passive ? err_set(err, -ENOTCONN, "no quorum: %s", reason) : 0;
}

void request_on_request(struct ha_core *core, const struct ha_event *event)
{
	struct request *request = xcalloc(1, sizeof(*request));
	struct err err = ERR_INIT;

	request->kind = event->request;
	request->id = event->request_id;
	request->deadline_ms = core->now_ms + REQUEST_LIMIT_MS;
	if (refuse_passive(core, &err) < 0 || fill_command(core, event, &request->command, &err) < 0) {
		replyf(core, request->id, &err);
		free_request(request);
		return;
	}
	if (event->request == HA_REQ_OUTDATE)
		local_on_outdate(core, request->command.group, event->nodeid);
	*core->requests_tail = request;
	core->requests_tail = &request->next;
}

/* --- what becomes of it -----------------------------------------------------------------------------------------------------*/

void request_on_ordered(struct ha_core *core, uint64_t seq, int result, const char *text)
{
	for (struct request *request = core->requests; request; request = request->next) {
		if (request->seq != seq || request->ordered)
			continue;
		request->ordered = true;
		request->version = core->replica.state.version;
		request->result = result;
		snprintf(request->text, sizeof(request->text), "%.*s", HA_TEXT_SIZE - 1, text);
		return;
	}
}

/*
 * In a new term the state tells which of this node's requests were ordered by a leader whose order has survived. What was not
 * is void (no leader accepts it any more) and gets a new number. Of more than one that were ordered unseen, the results but
 * the last are lost.
 */
void request_on_install(struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;
	const struct ha_state_node *node = state_node(state, core_me(core));
	uint64_t last = node && node->request_incarnation == core->settings.incarnation ? node->request_seq : 0;

	for (struct request *request = core->requests; request; request = request->next) {
		want_drop(core, &request->want);
		if (!request->seq || request->seq > last) {
			request->seq = 0;
			request->ordered = false;
			continue;
		}
		request->version = state->version;
		if (request->ordered)
			continue;
		request->ordered = true;
		request->result = request->seq == last ? node->request_result : -ESTALE;
		snprintf(request->text, sizeof(request->text), "%s",
			 request->result ? "it was refused, or its outcome is not known: look at the status" : "");
	}
}

static uint64_t next_seq(const struct ha_core *core)
{
	const struct ha_state_node *node = state_node(&core->replica.state, core_me(core));
	uint64_t seq = node && node->request_incarnation == core->settings.incarnation ? node->request_seq : 0;

	for (const struct request *request = core->requests; request; request = request->next)
		seq = MAX(seq, request->seq);
	return seq + 1;
}

/* DRBD's question is about the group as it is now: the owner may have got a new epoch while it waited. */
static int renew_outdate(const struct ha_core *core, struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = state_group(&core->replica.state, command->group);

	if (!group)
		return err_set(err, -ENOENT, "group %s: there is no such group", command->group);
	if (!group_is_at(group, core_me(core)))
		return err_set(err, -EPERM, "group %s: this node does not own it, %s does", command->group,
			       node_name(&core->settings, group->owner));
	command->number = group->epoch;
	return 0;
}

static void send_request(struct ha_core *core, struct request *request)
{
	if (!request->seq)
		request->seq = next_seq(core);
	request->command.incarnation = core->settings.incarnation;
	request->command.seq = request->seq;
	request->was_sent = true;
	core_want(core, &request->want, request->seq, &request->command);
}

/* An answer to OUTDATE holds for the epoch it was given for, and only as long as nobody else has got the group. */
static bool is_outdated(const struct ha_core *core, const struct request *request)
{
	const struct ha_state_group *group = state_group(&core->replica.state, request->command.group);

	return group && group_is_at(group, core_me(core)) && !ha_set_has(group->current, request->command.nodeid);
}

static void finish_ordered(struct ha_core *core, struct request *request)
{
	if (request->kind == HA_REQ_OUTDATE && request->result == -ESTALE) {
		request->ordered = false; /* the epoch has changed under it: ask again */
		request->seq = 0;
		want_drop(core, &request->want);
		return;
	}
	if (request->result == 0 && request->kind == HA_REQ_OUTDATE && !is_outdated(core, request))
		reply(core, request->id, -ESTALE, "the group has changed hands meanwhile");
	else
		reply(core, request->id, request->result, request->text);
	request->answered = true;
}

static void refuse(struct ha_core *core, struct request *request, struct err *err)
{
	if (request->was_sent)
		snprintf(err->text + strlen(err->text), sizeof(err->text) - strlen(err->text),
			 " (it may still take effect)");
	replyf(core, request->id, err);
	request->answered = true;
}

/* Without an active view: refused at once if only other nodes can change that, after a while otherwise. DRBD's question has
 * nothing better to do than to wait. */
static void wait_or_refuse(struct ha_core *core, struct request *request)
{
	struct err err = ERR_INIT;

	if (refuse_passive(core, &err) == 0) {
		if (request->kind == HA_REQ_OUTDATE)
			return;
		if (core->now_ms < request->deadline_ms) {
			core_wake(core, request->deadline_ms);
			return;
		}
		err_set(&err, -ETIMEDOUT, "the nodes could not agree on who takes part in time: see the status");
	}
	refuse(core, request, &err);
}

static void pump_request(struct ha_core *core, struct request *request)
{
	struct err err = ERR_INIT;

	if (request->ordered && (request->result < 0 || core_is_settled(core, request->version))) {
		finish_ordered(core, request);
		return;
	}
	if (!core_is_active(core)) {
		wait_or_refuse(core, request);
		return;
	}
	if (request->ordered)
		return;
	if (request->kind == HA_REQ_OUTDATE && !request->seq && renew_outdate(core, &request->command, &err) < 0)
		refuse(core, request, &err);
	else
		send_request(core, request);
}

/* One that was answered without being ordered still holds its number: those behind it wait for it. */
static bool is_done_with(const struct request *request)
{
	return request->answered && (request->ordered || !request->seq);
}

void request_pump(struct ha_core *core)
{
	struct request **at = &core->requests;

	while (*at) {
		struct request *request = *at;

		if (!request->answered)
			pump_request(core, request);
		else if (!request->ordered && request->seq)
			send_request(core, request);
		if (!is_done_with(request)) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		want_drop(core, &request->want);
		free_request(request);
	}
	core->requests_tail = at;
}
