// SPDX-License-Identifier: GPL-2.0-or-later
#include "ha/wire/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define SAVED_MAGIC 0x4857554cu /* "LUWH" */
#define NODE_SIZE_MIN 40
#define GROUP_SIZE_MIN 60
#define RECORD_SIZE_MIN 20
#define MINOR_WITH_RECORDS 1

void ha_state_done(struct ha_state *state)
{
	free(state->config);
	free(state->groups);
	for (size_t i = 0; i < state->n_records; i++)
		free(state->records[i].data);
	free(state->records);
	memset(state, 0, sizeof(*state));
}

static void put_set(struct bytes_out *out, const uint32_t set[HA_COPIES_MAX])
{
	for (size_t i = 0; i < HA_COPIES_MAX; i++)
		bytes_put_u32(out, set[i]);
}

static void get_set(struct bytes_in *in, uint32_t ret[HA_COPIES_MAX])
{
	for (size_t i = 0; i < HA_COPIES_MAX; i++)
		ret[i] = bytes_get_u32(in);
}

void ha_group_spec_encode(const struct ha_group_spec *spec, struct bytes_out *out)
{
	size_t record = bytes_put_record(out);

	bytes_put_str(out, spec->name);
	put_set(out, spec->nodes);
	bytes_put_u32(out, spec->prefer);
	bytes_put_u8(out, (uint8_t)spec->placement);
	bytes_put_u16(out, spec->weight);
	bytes_put_u32(out, spec->failback_s);
	bytes_put_u8(out, spec->losses_max);
	bytes_put_record_end(out, record);
}

void ha_group_spec_decode(struct bytes_in *in, bool newer, struct ha_group_spec *ret)
{
	struct bytes_in r = bytes_get_record(in);

	bytes_get_str(&r, ret->name, sizeof(ret->name));
	get_set(&r, ret->nodes);
	ret->prefer = bytes_get_u32(&r);
	ret->placement = bytes_get_enum(&r, HA_PLACEMENT_PACEMAKER + 1);
	if (r.left > 0) { /* since minor 1 */
		ret->weight = bytes_get_u16(&r);
		ret->failback_s = bytes_get_u32(&r);
		ret->losses_max = bytes_get_u8(&r);
	}
	if (bytes_get_end(&r, newer) < 0 || !ret->name[0])
		in->bad = true;
}

static void put_node(struct bytes_out *out, const struct ha_state_node *node)
{
	size_t record = bytes_put_record(out);

	bytes_put_u32(out, node->nodeid);
	bytes_put_u8(out, node->elects);
	bytes_put_u8(out, (uint8_t)node->state);
	bytes_put_u64(out, node->down_seq);
	bytes_put_u8(out, (uint8_t)node->evidence);
	bytes_put_str(out, node->reason);
	bytes_put_u32(out, node->portal_holder);
	bytes_put_u32(out, node->portal_next);
	bytes_put_u64(out, node->request_incarnation);
	bytes_put_u64(out, node->request_seq);
	bytes_put_u32(out, (uint32_t)node->request_result);
	bytes_put_u64(out, node->changed);
	bytes_put_u8(out, (uint8_t)node->maintenance);
	bytes_put_u32(out, node->watchdog_ms);
	bytes_put_record_end(out, record);
}

static void get_node(struct bytes_in *in, bool newer, struct ha_state_node *ret)
{
	struct bytes_in r = bytes_get_record(in);

	ret->nodeid = bytes_get_u32(&r);
	ret->elects = bytes_get_bool(&r);
	ret->state = bytes_get_enum(&r, HA_NODE_STATE_COUNT);
	ret->down_seq = bytes_get_u64(&r);
	ret->evidence = bytes_get_enum(&r, HA_EVIDENCE_COUNT);
	bytes_get_str(&r, ret->reason, sizeof(ret->reason));
	ret->portal_holder = bytes_get_u32(&r);
	ret->portal_next = bytes_get_u32(&r);
	ret->request_incarnation = bytes_get_u64(&r);
	ret->request_seq = bytes_get_u64(&r);
	ret->request_result = (int32_t)bytes_get_u32(&r);
	ret->changed = bytes_get_u64(&r);
	if (r.left > 0)
		ret->maintenance = bytes_get_enum(&r, HA_MAINTENANCE_COUNT);
	if (r.left > 0)
		ret->watchdog_ms = bytes_get_u32(&r);
	if (bytes_get_end(&r, newer) < 0 || !ret->nodeid)
		in->bad = true;
}

static void put_group(struct bytes_out *out, const struct ha_state_group *group)
{
	size_t record = bytes_put_record(out);

	ha_group_spec_encode(&group->spec, out);
	bytes_put_u64(out, group->epoch);
	bytes_put_u8(out, (uint8_t)group->phase);
	bytes_put_u32(out, group->owner);
	bytes_put_u32(out, group->to);
	bytes_put_u32(out, group->from);
	bytes_put_u8(out, group->held);
	bytes_put_u8(out, group->lost);
	put_set(out, group->current);
	put_set(out, group->ready);
	put_set(out, group->failed);
	bytes_put_str(out, group->reason);
	bytes_put_u64(out, group->changed);
	bytes_put_u8(out, group->losses);
	bytes_put_u8(out, group->stays);
	bytes_put_u32(out, group->outdates);
	bytes_put_record_end(out, record);
}

static void get_group(struct bytes_in *in, bool newer, struct ha_state_group *ret)
{
	struct bytes_in r = bytes_get_record(in);

	ha_group_spec_decode(&r, newer, &ret->spec);
	ret->epoch = bytes_get_u64(&r);
	ret->phase = bytes_get_enum(&r, HA_PHASE_COUNT);
	ret->owner = bytes_get_u32(&r);
	ret->to = bytes_get_u32(&r);
	ret->from = bytes_get_u32(&r);
	ret->held = bytes_get_bool(&r);
	ret->lost = bytes_get_bool(&r);
	get_set(&r, ret->current);
	get_set(&r, ret->ready);
	get_set(&r, ret->failed);
	bytes_get_str(&r, ret->reason, sizeof(ret->reason));
	ret->changed = bytes_get_u64(&r);
	if (r.left > 0) {
		ret->losses = bytes_get_u8(&r);
		ret->stays = bytes_get_bool(&r);
		ret->outdates = bytes_get_u32(&r);
	}
	if (bytes_get_end(&r, newer) < 0)
		in->bad = true;
}

static void put_record(struct bytes_out *out, const struct ha_state_record *item)
{
	size_t record = bytes_put_record(out);

	bytes_put_str(out, item->group);
	bytes_put_str(out, item->key);
	bytes_put_u64(out, item->changed);
	bytes_put_blob(out, item->data, item->size);
	bytes_put_record_end(out, record);
}

static void get_record(struct bytes_in *in, bool newer, struct ha_state_record *ret)
{
	struct bytes_in r = bytes_get_record(in);
	const void *data;

	bytes_get_str(&r, ret->group, sizeof(ret->group));
	bytes_get_str(&r, ret->key, sizeof(ret->key));
	ret->changed = bytes_get_u64(&r);
	bytes_get_blob(&r, HA_RECORD_SIZE_MAX, &data, &ret->size);
	ret->data = xmemdup(data ? data : "", ret->size);
	if (bytes_get_end(&r, newer) < 0 || !ret->size)
		in->bad = true;
}

void ha_state_encode(const struct ha_state *state, struct bytes_out *out)
{
	bytes_put_u8(out, HA_WIRE_MAJOR);
	bytes_put_u8(out, HA_WIRE_MINOR);
	bytes_put_u64(out, state->term);
	bytes_put_u64(out, state->version);
	bytes_put_u64(out, state->config_version);
	bytes_put_u64(out, state->config_changed);
	bytes_put_blob(out, state->config, state->config_size);
	bytes_put_u64(out, state->epoch_floor);
	bytes_put_u32(out, (uint32_t)state->n_nodes);
	for (size_t i = 0; i < state->n_nodes; i++)
		put_node(out, &state->nodes[i]);
	bytes_put_u32(out, (uint32_t)state->n_groups);
	for (size_t i = 0; i < state->n_groups; i++)
		put_group(out, &state->groups[i]);
	bytes_put_u32(out, (uint32_t)state->n_records);
	for (size_t i = 0; i < state->n_records; i++)
		put_record(out, &state->records[i]);
}

int ha_record_compare(const struct ha_state_record *record, const char *group, const char *key)
{
	int order = strcmp(record->group, group);

	return order ? order : strcmp(record->key, key);
}

/* Look-ups are by bisection: the order is part of the format. */
static bool is_sorted(const struct ha_state *state)
{
	for (size_t i = 1; i < state->n_nodes; i++) {
		if (state->nodes[i - 1].nodeid >= state->nodes[i].nodeid)
			return false;
	}
	for (size_t i = 1; i < state->n_groups; i++) {
		if (strcmp(state->groups[i - 1].spec.name, state->groups[i].spec.name) >= 0)
			return false;
	}
	for (size_t i = 1; i < state->n_records; i++) {
		if (ha_record_compare(&state->records[i - 1], state->records[i].group, state->records[i].key) >= 0)
			return false;
	}
	return true;
}

static int decode_body(struct bytes_in *in, unsigned int minor, struct ha_state *state)
{
	bool newer = minor > HA_WIRE_MINOR;
	const void *config;

	state->term = bytes_get_u64(in);
	state->version = bytes_get_u64(in);
	state->config_version = bytes_get_u64(in);
	state->config_changed = bytes_get_u64(in);
	bytes_get_blob(in, HA_CONFIG_SIZE_MAX, &config, &state->config_size);
	state->config = xmemdup(config ? config : "", state->config_size);
	state->epoch_floor = bytes_get_u64(in);
	state->n_nodes = bytes_get_count(in, HA_NODES_MAX, NODE_SIZE_MIN);
	for (size_t i = 0; i < state->n_nodes; i++)
		get_node(in, newer, &state->nodes[i]);
	state->n_groups = bytes_get_count(in, HA_GROUPS_MAX, GROUP_SIZE_MIN);
	state->groups = xcalloc(state->n_groups, sizeof(*state->groups));
	for (size_t i = 0; i < state->n_groups && !in->bad; i++)
		get_group(in, newer, &state->groups[i]);
	state->n_records = minor >= MINOR_WITH_RECORDS ? bytes_get_count(in, HA_RECORDS_MAX, RECORD_SIZE_MIN) : 0;
	state->records = xcalloc(state->n_records, sizeof(*state->records));
	for (size_t i = 0; i < state->n_records && !in->bad; i++)
		get_record(in, newer, &state->records[i]);
	if (bytes_get_end(in, newer) < 0 || !is_sorted(state))
		return -EBADMSG;
	return 0;
}

int ha_state_decode(const void *data, size_t size, struct ha_state *ret)
{
	struct bytes_in in = { .p = data, .left = size };
	uint8_t major = bytes_get_u8(&in), minor = bytes_get_u8(&in);
	struct ha_state state = { .term = 0 };
	int rc;

	if (in.bad)
		return -EBADMSG;
	if (major != HA_WIRE_MAJOR)
		return -EPROTONOSUPPORT;
	rc = decode_body(&in, minor, &state);
	if (rc < 0)
		ha_state_done(&state);
	else
		*ret = state;
	return rc;
}

void ha_saved_encode(uint64_t promised, const struct ha_state *state, struct bytes_out *out)
{
	size_t start = out->size, record;

	bytes_put_u32(out, SAVED_MAGIC);
	bytes_put_u8(out, HA_WIRE_MAJOR);
	bytes_put_u8(out, HA_WIRE_MINOR);
	bytes_put_u64(out, promised);
	record = bytes_put_record(out);
	ha_state_encode(state, out);
	bytes_put_record_end(out, record);
	bytes_put_u32(out, bytes_crc32(out->data + start, out->size - start));
}

void ha_saved_add(const struct ha_msg *change, struct bytes_out *out)
{
	size_t record = bytes_put_record(out);

	ha_msg_encode(change, out);
	bytes_put_record_end(out, record);
}

int ha_saved_decode(const void *data, size_t size, struct ha_saved *ret)
{
	struct bytes_in in = { .p = data, .left = size }, state;
	uint32_t magic = bytes_get_u32(&in), crc;
	uint8_t major = bytes_get_u8(&in);
	struct ha_saved saved;
	int rc;

	if (in.bad || magic != SAVED_MAGIC)
		return -EBADMSG;
	if (major != HA_WIRE_MAJOR)
		return -EPROTONOSUPPORT;
	(void)bytes_get_u8(&in); /* minor */
	saved.promised = bytes_get_u64(&in);
	state = bytes_get_record(&in);
	crc = in.bad ? 0 : bytes_crc32(data, size - in.left);
	if (bytes_get_u32(&in) != crc || in.bad)
		return -EBADMSG;
	rc = ha_state_decode(state.p, state.left, &saved.state);
	if (rc < 0)
		return rc;
	saved.changes = in;
	*ret = saved;
	return 0;
}

int ha_saved_next(struct ha_saved *saved, struct ha_msg *ret)
{
	struct bytes_in change;
	int rc;

	if (!saved->changes.left)
		return 0;
	change = bytes_get_record(&saved->changes);
	if (saved->changes.bad)
		return -EBADMSG;
	rc = ha_msg_decode(change.p, change.left, ret);
	return rc < 0 ? rc : 1;
}
