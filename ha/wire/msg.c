// SPDX-License-Identifier: GPL-2.0-or-later
#include "ha/wire/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/wire/state.h"

#define MSG_MAGIC 0x574c /* "LW" */
#define SPEC_SIZE_MIN 28

const char *ha_command_name(enum ha_command_type type)
{
	static const char *const names[] = {
		[HA_CMD_NONE] = "NONE",
#define X(id) [HA_CMD_##id] = #id,
		HA_COMMANDS(X)
#undef X
	};

	return (size_t)type < ARRAY_SIZE(names) ? names[type] : "?";
}

static void put_ids(struct bytes_out *out, const struct ha_ids *ids)
{
	bytes_put_u32(out, (uint32_t)ids->n);
	for (size_t i = 0; i < ids->n; i++)
		bytes_put_u32(out, ids->ids[i]);
}

static void get_ids(struct bytes_in *in, struct ha_ids *ret)
{
	ret->n = bytes_get_count(in, HA_NODES_MAX, sizeof(uint32_t));
	for (size_t i = 0; i < ret->n; i++) {
		ret->ids[i] = bytes_get_u32(in);
		if (!ret->ids[i])
			in->bad = true;
	}
}

static void put_round(struct bytes_out *out, const struct ha_round *round)
{
	bytes_put_u64(out, round->term);
	bytes_put_u64(out, round->incarnation);
	bytes_put_u32(out, round->nodeid);
}

static void get_round(struct bytes_in *in, struct ha_round *ret)
{
	ret->term = bytes_get_u64(in);
	ret->incarnation = bytes_get_u64(in);
	ret->nodeid = bytes_get_u32(in);
}

static void put_digest(struct bytes_out *out, const struct ha_digest *digest)
{
	bytes_put_u8(out, digest->refused);
	bytes_put_u8(out, digest->unreadable);
	bytes_put_u64(out, digest->promised);
	bytes_put_u64(out, digest->term);
	bytes_put_u64(out, digest->version);
	bytes_put_u32(out, digest->crc);
	put_ids(out, &digest->electorate);
}

static void get_digest(struct bytes_in *in, struct ha_digest *ret)
{
	ret->refused = bytes_get_bool(in);
	ret->unreadable = bytes_get_bool(in);
	ret->promised = bytes_get_u64(in);
	ret->term = bytes_get_u64(in);
	ret->version = bytes_get_u64(in);
	ret->crc = bytes_get_u32(in);
	get_ids(in, &ret->electorate);
}

static void put_install(struct bytes_out *out, const struct ha_install *install)
{
	put_ids(out, &install->participants);
	put_ids(out, &install->ring);
	put_ids(out, &install->electorate);
	bytes_put_u32(out, install->source);
	bytes_put_u64(out, install->source_term);
	bytes_put_u64(out, install->source_version);
	bytes_put_u32(out, install->source_crc);
	bytes_put_u8(out, install->snapshot);
}

static void get_install(struct bytes_in *in, struct ha_install *ret)
{
	get_ids(in, &ret->participants);
	get_ids(in, &ret->ring);
	get_ids(in, &ret->electorate);
	ret->source = bytes_get_u32(in);
	ret->source_term = bytes_get_u64(in);
	ret->source_version = bytes_get_u64(in);
	ret->source_crc = bytes_get_u32(in);
	ret->snapshot = bytes_get_bool(in);
}

static void put_command(struct bytes_out *out, const struct ha_command *command)
{
	size_t record = bytes_put_record(out);

	bytes_put_u8(out, (uint8_t)command->type);
	bytes_put_u64(out, command->incarnation);
	bytes_put_u64(out, command->seq);
	bytes_put_str(out, command->group);
	bytes_put_u32(out, command->nodeid);
	bytes_put_u64(out, command->number);
	bytes_put_u32(out, (uint32_t)command->result);
	bytes_put_u8(out, command->yes);
	bytes_put_u8(out, (uint8_t)command->evidence);
	bytes_put_str(out, command->text);
	bytes_put_blob(out, command->document, command->document_size);
	bytes_put_u32(out, (uint32_t)command->n_groups);
	for (size_t i = 0; i < command->n_groups; i++)
		ha_group_spec_encode(&command->groups[i], out);
	bytes_put_record_end(out, record);
}

static void get_command(struct bytes_in *in, bool newer, struct ha_command *ret)
{
	struct bytes_in r = bytes_get_record(in);

	ret->type = bytes_get_enum(&r, HA_CMD_COUNT);
	ret->incarnation = bytes_get_u64(&r);
	ret->seq = bytes_get_u64(&r);
	bytes_get_str(&r, ret->group, sizeof(ret->group));
	ret->nodeid = bytes_get_u32(&r);
	ret->number = bytes_get_u64(&r);
	ret->result = (int32_t)bytes_get_u32(&r);
	ret->yes = bytes_get_bool(&r);
	ret->evidence = bytes_get_enum(&r, HA_EVIDENCE_COUNT);
	bytes_get_str(&r, ret->text, sizeof(ret->text));
	bytes_get_blob(&r, HA_CONFIG_SIZE_MAX, &ret->document, &ret->document_size);
	ret->n_groups = bytes_get_count(&r, HA_GROUPS_MAX, SPEC_SIZE_MIN);
	ret->groups = ret->n_groups ? xcalloc(ret->n_groups, sizeof(*ret->groups)) : NULL;
	for (size_t i = 0; i < ret->n_groups && !r.bad; i++)
		ha_group_spec_decode(&r, newer, &ret->groups[i]);
	if (bytes_get_end(&r, newer) < 0 || ret->type == HA_CMD_NONE)
		in->bad = true;
}

static void put_lease(struct bytes_out *out, const struct ha_lease *lease)
{
	bytes_put_u64(out, (uint64_t)lease->stamp_ms);
	bytes_put_u32(out, (uint32_t)lease->n_echoes);
	for (size_t i = 0; i < lease->n_echoes; i++) {
		bytes_put_u32(out, lease->echoes[i].nodeid);
		bytes_put_u64(out, (uint64_t)lease->echoes[i].stamp_ms);
	}
}

static void get_lease(struct bytes_in *in, struct ha_lease *ret)
{
	ret->stamp_ms = (int64_t)bytes_get_u64(in);
	ret->n_echoes = bytes_get_count(in, HA_NODES_MAX, sizeof(uint32_t) + sizeof(uint64_t));
	for (size_t i = 0; i < ret->n_echoes; i++) {
		ret->echoes[i].nodeid = bytes_get_u32(in);
		ret->echoes[i].stamp_ms = (int64_t)bytes_get_u64(in);
	}
}

static void put_body(struct bytes_out *out, const struct ha_msg *msg)
{
	switch (msg->type) {
	case HA_MSG_BEGIN:
		put_round(out, &msg->round);
		break;
	case HA_MSG_DIGEST:
		put_round(out, &msg->round);
		put_digest(out, &msg->digest);
		break;
	case HA_MSG_INSTALL:
		put_round(out, &msg->round);
		put_install(out, &msg->install);
		break;
	case HA_MSG_SNAPSHOT:
		put_round(out, &msg->round);
		bytes_put_u32(out, msg->total);
		bytes_put_u32(out, msg->offset);
		bytes_put_blob(out, msg->data, msg->size);
		break;
	case HA_MSG_ACK:
		bytes_put_u64(out, msg->term);
		bytes_put_u64(out, msg->version);
		break;
	case HA_MSG_JOIN:
		break;
	case HA_MSG_COMMAND:
		bytes_put_u64(out, msg->term);
		put_command(out, &msg->command);
		break;
	case HA_MSG_ORDER:
		bytes_put_u64(out, msg->term);
		bytes_put_u64(out, msg->version);
		bytes_put_u32(out, msg->origin);
		put_command(out, &msg->command);
		break;
	case HA_MSG_INFO:
		bytes_put_blob(out, msg->data, msg->size);
		break;
	case HA_MSG_LEASE:
		bytes_put_u64(out, msg->term);
		put_lease(out, &msg->lease);
		break;
	}
}

static void get_snapshot(struct bytes_in *in, struct ha_msg *ret)
{
	get_round(in, &ret->round);
	ret->total = bytes_get_u32(in);
	ret->offset = bytes_get_u32(in);
	bytes_get_blob(in, HA_SNAPSHOT_CHUNK, &ret->data, &ret->size);
	if (ret->total > HA_STATE_SIZE_MAX || ret->offset > ret->total || ret->size > ret->total - ret->offset)
		in->bad = true;
}

static void get_body(struct bytes_in *in, bool newer, struct ha_msg *ret)
{
	switch (ret->type) {
	case HA_MSG_BEGIN:
		get_round(in, &ret->round);
		break;
	case HA_MSG_DIGEST:
		get_round(in, &ret->round);
		get_digest(in, &ret->digest);
		break;
	case HA_MSG_INSTALL:
		get_round(in, &ret->round);
		get_install(in, &ret->install);
		break;
	case HA_MSG_SNAPSHOT:
		get_snapshot(in, ret);
		break;
	case HA_MSG_ACK:
		ret->term = bytes_get_u64(in);
		ret->version = bytes_get_u64(in);
		break;
	case HA_MSG_JOIN:
		break;
	case HA_MSG_COMMAND:
		ret->term = bytes_get_u64(in);
		get_command(in, newer, &ret->command);
		break;
	case HA_MSG_ORDER:
		ret->term = bytes_get_u64(in);
		ret->version = bytes_get_u64(in);
		ret->origin = bytes_get_u32(in);
		get_command(in, newer, &ret->command);
		break;
	case HA_MSG_INFO:
		bytes_get_blob(in, HA_INFO_SIZE_MAX, &ret->data, &ret->size);
		break;
	case HA_MSG_LEASE:
		ret->term = bytes_get_u64(in);
		get_lease(in, &ret->lease);
		break;
	default:
		in->bad = true;
	}
}

void ha_msg_encode(const struct ha_msg *msg, struct bytes_out *out)
{
	bytes_put_u16(out, MSG_MAGIC);
	bytes_put_u8(out, HA_WIRE_MAJOR);
	bytes_put_u8(out, HA_WIRE_MINOR);
	bytes_put_u8(out, (uint8_t)msg->type);
	put_body(out, msg);
}

int ha_msg_decode(const void *data, size_t size, struct ha_msg *ret)
{
	struct bytes_in in = { .p = data, .left = size };
	uint16_t magic = bytes_get_u16(&in);
	uint8_t major = bytes_get_u8(&in), minor = bytes_get_u8(&in);
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (in.bad || magic != MSG_MAGIC)
		return -EBADMSG;
	if (major != HA_WIRE_MAJOR)
		return -EPROTONOSUPPORT;
	ret->type = bytes_get_u8(&in);
	get_body(&in, minor > HA_WIRE_MINOR, ret);
	rc = bytes_get_end(&in, minor > HA_WIRE_MINOR);
	if (rc < 0)
		ha_msg_done(ret);
	return rc;
}

void ha_msg_done(struct ha_msg *msg)
{
	if (!msg)
		return;
	free(msg->command.groups);
	msg->command.groups = NULL;
	msg->command.n_groups = 0;
}
