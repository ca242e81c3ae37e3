// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records: bytes that the nodes of a group keep for it, each under a key. A record is changed by who knows what it was: a change names
 * the committed version it was decided on, and is refused if the record, or who owns the group, has changed since. So two nodes
 * never overwrite each other, and what was decided as the owner counts only while its sender is the owner.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/internal.h"

static size_t record_place(const struct ha_state *state, const char *group, const char *key, bool *ret_there)
{
	size_t low = 0, high = state->n_records;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ha_record_compare(&state->records[middle], group, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_there = low < state->n_records && ha_record_compare(&state->records[low], group, key) == 0;
	return low;
}

static int check_room(const struct ha_state *state, bool is_new, size_t old_size, const struct ha_command *command, struct err *err)
{
	size_t total = command->document_size;

	if (command->document_size > HA_RECORD_SIZE_MAX)
		return err_set(err, -E2BIG, "group %s: a record of %zu bytes, the limit is %u", command->group, command->document_size,
			       HA_RECORD_SIZE_MAX);
	for (size_t i = 0; i < state->n_records; i++)
		total += state->records[i].size;
	total -= old_size;
	if (total > HA_RECORDS_SIZE_MAX || (is_new && state->n_records == HA_RECORDS_MAX))
		return err_set(err, -ENOSPC, "group %s: the records of all groups would take %zu bytes, the limit is %u: remove some "
			       "(reservations of hosts that are gone)", command->group, total, HA_RECORDS_SIZE_MAX);
	return 0;
}

int record_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err)
{
	const struct ha_state_group *group = state_group(&replica->state, command->group);
	const struct ha_state_record *old;
	bool there;
	size_t at;

	if (!group)
		return err_set(err, -ENOENT, "group %s: there is no such group", command->group);
	if (!ha_set_has(group->spec.nodes, origin))
		return err_set(err, -EPERM, "group %s: %s has no copy of it", command->group, node_name(replica->settings, origin));
	at = record_place(&replica->state, command->group, command->text, &there);
	old = there ? &replica->state.records[at] : NULL;
	if (group->changed > command->number || (there && old->changed > command->number))
		return err_set(err, -ESTALE, "group %s: record %s or the owner has changed meanwhile", command->group, command->text);
	if (there ? old->size == command->document_size && memcmp(old->data, command->document, old->size) == 0 : !command->document_size)
		return -EALREADY;
	return check_room(&replica->state, !there, there ? old->size : 0, command, err);
}

static void remove_at(struct ha_state *state, size_t at)
{
	free(state->records[at].data);
	state->n_records--;
	memmove(&state->records[at], &state->records[at + 1], (state->n_records - at) * sizeof(*state->records));
}

void record_apply(struct replica *replica, uint32_t origin, const struct ha_command *command)
{
	struct ha_state *state = &replica->state;
	struct ha_state_record *record;
	bool there;
	size_t at = record_place(state, command->group, command->text, &there);

	(void)origin;
	if (!command->document_size) {
		remove_at(state, at);
		return;
	}
	if (!there) {
		state->records = xreallocarray(state->records, state->n_records + 1, sizeof(*state->records));
		memmove(&state->records[at + 1], &state->records[at], (state->n_records - at) * sizeof(*state->records));
		state->n_records++;
		memset(&state->records[at], 0, sizeof(state->records[at]));
	}
	record = &state->records[at];
	memcpy(record->group, command->group, sizeof(record->group));
	memcpy(record->key, command->text, sizeof(record->key));
	free(record->data);
	record->data = xmemdup(command->document, command->document_size);
	record->size = command->document_size;
	record->changed = state->version;
}

void records_drop(struct ha_state *state)
{
	for (size_t i = state->n_records; i-- > 0;) {
		if (!state_group(state, state->records[i].group))
			remove_at(state, i);
	}
}

int ha_core_record(const struct ha_core *core, const char *group, const char *key, struct ha_record_view *ret)
{
	const struct ha_state_record *record;
	bool there;
	size_t at = record_place(&core->replica.state, group, key, &there);

	if (!there)
		return -ENOENT;
	record = &core->replica.state.records[at];
	*ret = (struct ha_record_view){ .key = record->key, .data = record->data, .size = record->size, .changed = record->changed,
					.settled = core_is_settled(core, record->changed) };
	return 0;
}
