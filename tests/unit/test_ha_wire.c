// SPDX-License-Identifier: GPL-2.0-or-later
/* The codec: everything comes back as it was, nothing is read that is cut, and what a newer minor version adds is survived. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "ha/transport/transport.h"
#include "ha/wire/msg.h"
#include "ha/wire/state.h"

static void fill_ids(struct ha_ids *ids, uint32_t from, size_t n)
{
	for (ids->n = 0; ids->n < n; ids->n++)
		ids->ids[ids->n] = from + (uint32_t)ids->n;
}

static struct ha_group_spec specs[] = {
	{ .name = "g1", .nodes = { 1, 2 }, .prefer = 2, .placement = HA_PLACEMENT_PACEMAKER },
	{ .name = "g2", .nodes = { 3 } },
};

static struct ha_command sample_command(void)
{
	struct ha_command command = { .type = HA_CMD_CONFIG, .incarnation = 0x1122334455667788, .seq = 9, .group = "g1",
				      .nodeid = 7, .number = 1ull << 40, .result = -5, .yes = true,
				      .evidence = HA_EVIDENCE_WATCHDOG, .text = "no such thing", .document = "{}",
				      .document_size = 2, .groups = specs, .n_groups = 2 };

	return command;
}

static struct ha_msg sample(enum ha_msg_type type)
{
	struct ha_msg msg = { .type = type };

	if (type == HA_MSG_BEGIN || type == HA_MSG_DIGEST || type == HA_MSG_INSTALL || type == HA_MSG_SNAPSHOT)
		msg.round = (struct ha_round){ .term = 5, .incarnation = 77, .nodeid = 3 };
	switch (type) {
	case HA_MSG_DIGEST:
		msg.digest = (struct ha_digest){ .refused = true, .promised = 6, .term = 4, .version = 99,
						 .crc = 0xdeadbeef };
		fill_ids(&msg.digest.electorate, 1, 5);
		break;
	case HA_MSG_INSTALL:
		fill_ids(&msg.install.participants, 1, 2);
		fill_ids(&msg.install.ring, 1, 3);
		fill_ids(&msg.install.electorate, 1, HA_NODES_MAX);
		msg.install.source = 2;
		msg.install.source_term = 4;
		msg.install.source_version = 8;
		msg.install.source_crc = 1;
		msg.install.snapshot = true;
		break;
	case HA_MSG_SNAPSHOT:
		msg.total = 100;
		msg.offset = 90;
		msg.data = "0123456789";
		msg.size = 10;
		break;
	case HA_MSG_ACK:
		msg.term = 3;
		msg.version = 4;
		break;
	case HA_MSG_ORDER:
		msg.version = 12;
		msg.origin = 2;
		/* fall through */
	case HA_MSG_COMMAND:
		msg.term = 11;
		msg.command = sample_command();
		break;
	case HA_MSG_LEASE:
		msg.term = 13;
		msg.lease = (struct ha_lease){ .stamp_ms = 1ll << 40, .echoes = { { 1, 5 }, { 3, -1 } }, .n_echoes = 2 };
		break;
	case HA_MSG_INFO:
		msg.data = "status";
		msg.size = 6;
		break;
	default:
		break;
	}
	return msg;
}

static void assert_same_bytes(const struct bytes_out *a, const struct bytes_out *b)
{
	assert_int_equal(a->size, b->size);
	assert_memory_equal(a->data, b->data, a->size);
}

static void messages_come_back(void **state)
{
	(void)state;
	for (int type = HA_MSG_BEGIN; type <= HA_MSG_LEASE; type++) {
		struct ha_msg in = sample((enum ha_msg_type)type), out;
		struct bytes_out once = { .data = NULL }, twice = { .data = NULL };

		ha_msg_encode(&in, &once);
		assert_int_equal(ha_msg_decode(once.data, once.size, &out), 0);
		assert_int_equal(out.type, type);
		ha_msg_encode(&out, &twice);
		assert_same_bytes(&once, &twice);
		assert_int_equal(out.round.incarnation, in.round.incarnation);
		assert_int_equal(out.command.result, in.command.result);
		assert_string_equal(out.command.text, in.command.text);
		assert_int_equal(out.command.n_groups, in.command.n_groups);
		assert_int_equal(out.install.electorate.n, in.install.electorate.n);
		assert_int_equal(out.digest.crc, in.digest.crc);
		assert_int_equal(out.lease.stamp_ms, in.lease.stamp_ms);
		assert_int_equal(out.lease.n_echoes, in.lease.n_echoes);
		assert_int_equal(out.lease.echoes[1].stamp_ms, in.lease.echoes[1].stamp_ms);
		ha_msg_done(&out);
		bytes_out_done(&once);
		bytes_out_done(&twice);
	}
}

/* A copy of its own for each length, so that a sanitiser sees a read behind the end. */
static int decode_msg_part(const uint8_t *data, size_t size)
{
	uint8_t *part = xmemdup(data, size);
	struct ha_msg msg;
	int rc = ha_msg_decode(part, size, &msg);

	if (rc == 0)
		ha_msg_done(&msg);
	free(part);
	return rc;
}

static void cut_messages_are_refused(void **state)
{
	(void)state;
	for (int type = HA_MSG_BEGIN; type <= HA_MSG_LEASE; type++) {
		struct ha_msg in = sample((enum ha_msg_type)type);
		struct bytes_out bytes = { .data = NULL };

		ha_msg_encode(&in, &bytes);
		for (size_t size = 0; size < bytes.size; size++)
			assert_int_equal(decode_msg_part(bytes.data, size), -EBADMSG);
		bytes_put_u8(&bytes, 0);
		assert_int_equal(decode_msg_part(bytes.data, bytes.size), -EBADMSG);
		bytes_out_done(&bytes);
	}
}

static void newer_versions(void **state)
{
	struct ha_msg in = sample(HA_MSG_ACK), out;
	struct bytes_out bytes = { .data = NULL };

	(void)state;
	ha_msg_encode(&in, &bytes);
	bytes.data[3] = HA_WIRE_MINOR + 1;
	bytes_put_u64(&bytes, 42);
	assert_int_equal(ha_msg_decode(bytes.data, bytes.size, &out), 0);
	assert_int_equal(out.version, 4);
	bytes.data[2] = HA_WIRE_MAJOR + 1;
	assert_int_equal(ha_msg_decode(bytes.data, bytes.size, &out), -EPROTONOSUPPORT);
	bytes_out_done(&bytes);
}

static void flipped_bits_do_no_harm(void **state)
{
	(void)state;
	for (int type = HA_MSG_BEGIN; type <= HA_MSG_LEASE; type++) {
		struct ha_msg in = sample((enum ha_msg_type)type);
		struct bytes_out bytes = { .data = NULL };

		ha_msg_encode(&in, &bytes);
		for (size_t bit = 0; bit < bytes.size * 8; bit++) {
			bytes.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			(void)decode_msg_part(bytes.data, bytes.size);
			bytes.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		bytes_out_done(&bytes);
	}
}

static void sample_saved(struct ha_saved *saved)
{
	struct ha_state *s = &saved->state;

	*saved = (struct ha_saved){ .promised = 9 };
	s->term = 8;
	s->version = 77;
	s->config_version = 3;
	s->config_changed = 70;
	s->config = xmemdup("document", 8);
	s->config_size = 8;
	s->epoch_floor = 5;
	s->n_nodes = 2;
	s->nodes[0] = (struct ha_state_node){ .nodeid = 1, .elects = true, .state = HA_NODE_UP, .portal_holder = 1,
					      .request_incarnation = 4, .request_seq = 5, .request_result = -17 };
	s->nodes[1] = (struct ha_state_node){ .nodeid = 2, .state = HA_NODE_DOWN, .down_seq = 3,
					      .evidence = HA_EVIDENCE_OPERATOR, .reason = "why", .portal_holder = 1,
					      .portal_next = 2, .changed = 71, .watchdog_ms = 23046 };
	s->n_groups = 2;
	s->groups = xcalloc(2, sizeof(*s->groups));
	s->groups[0] = (struct ha_state_group){ .spec = specs[0], .epoch = 6, .phase = HA_PHASE_RELEASING, .owner = 1, .to = 2,
						.from = 1, .held = true, .lost = true, .current = { 1, 2 }, .ready = { 1 },
						.failed = { 2 }, .reason = "text", .changed = 76 };
	s->groups[1] = (struct ha_state_group){ .spec = specs[1], .epoch = 5 };
	s->n_records = 2;
	s->records = xcalloc(2, sizeof(*s->records));
	s->records[0] = (struct ha_state_record){ .group = "g1", .key = "k", .changed = 75, .data = xmemdup("one", 3), .size = 3 };
	s->records[1] = (struct ha_state_record){ .group = "g2", .key = "a", .changed = 74, .data = xmemdup("\0", 1), .size = 1 };
}

static void state_comes_back(void **state)
{
	struct ha_saved in, out;
	struct bytes_out once = { .data = NULL }, twice = { .data = NULL };

	(void)state;
	sample_saved(&in);
	ha_saved_encode(in.promised, &in.state, &once);
	assert_int_equal(ha_saved_decode(once.data, once.size, &out), 0);
	ha_saved_encode(out.promised, &out.state, &twice);
	assert_same_bytes(&once, &twice);
	assert_int_equal(out.promised, 9);
	assert_int_equal(out.state.nodes[0].request_result, -17);
	assert_int_equal(out.state.nodes[1].watchdog_ms, 23046);
	assert_string_equal(out.state.groups[0].reason, "text");
	assert_int_equal(out.state.n_records, 2);
	assert_string_equal(out.state.records[0].key, "k");
	assert_memory_equal(out.state.records[0].data, "one", 3);
	assert_int_equal(out.state.records[1].changed, 74);
	assert_int_equal(out.state.groups[0].spec.placement, HA_PLACEMENT_PACEMAKER);
	ha_state_done(&in.state);
	ha_state_done(&out.state);
	bytes_out_done(&once);
	bytes_out_done(&twice);
}

static void damaged_state_is_refused(void **state)
{
	struct ha_saved in, out;
	struct bytes_out bytes = { .data = NULL }, raw = { .data = NULL };
	struct ha_state decoded;

	(void)state;
	sample_saved(&in);
	ha_saved_encode(in.promised, &in.state, &bytes);
	for (size_t size = 0; size < bytes.size; size++) {
		uint8_t *part = xmemdup(bytes.data, size);

		assert_int_equal(ha_saved_decode(part, size, &out), -EBADMSG);
		free(part);
	}
	for (size_t bit = 0; bit < bytes.size * 8; bit++) {
		bytes.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_true(ha_saved_decode(bytes.data, bytes.size, &out) < 0);
		bytes.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	ha_state_encode(&in.state, &raw);
	for (size_t size = 0; size < raw.size; size++) {
		uint8_t *part = xmemdup(raw.data, size);

		assert_int_equal(ha_state_decode(part, size, &decoded), -EBADMSG);
		free(part);
	}
	ha_state_done(&in.state);
	bytes_out_done(&bytes);
	bytes_out_done(&raw);
}

/* Behind the state: as they were added, whole; a rest of one is damage. */
static void changes_come_back(void **state)
{
	struct ha_msg order = sample(HA_MSG_ORDER), begin = { .type = HA_MSG_BEGIN, .round = { .term = 10, .nodeid = 2, .incarnation = 3 } }, got;
	struct bytes_out bytes = { .data = NULL };
	struct ha_saved in, out;
	size_t whole, first;

	(void)state;
	sample_saved(&in);
	ha_saved_encode(in.promised, &in.state, &bytes);
	whole = bytes.size;
	ha_saved_add(&begin, &bytes);
	first = bytes.size;
	ha_saved_add(&order, &bytes);
	for (size_t size = whole; size <= bytes.size; size++) {
		uint8_t *part = xmemdup(bytes.data, size);

		assert_int_equal(ha_saved_decode(part, size, &out), 0);
		assert_int_equal(out.state.version, 77);
		if (size >= first) {
			assert_int_equal(ha_saved_next(&out, &got), 1);
			assert_int_equal(got.type, HA_MSG_BEGIN);
			assert_int_equal(got.round.term, 10);
			ha_msg_done(&got);
		}
		if (size == bytes.size) {
			assert_int_equal(ha_saved_next(&out, &got), 1);
			assert_int_equal(got.type, HA_MSG_ORDER);
			assert_int_equal(got.version, order.version);
			ha_msg_done(&got);
		}
		assert_int_equal(ha_saved_next(&out, &got), size == whole || size == first || size == bytes.size ? 0 : -EBADMSG);
		ha_state_done(&out.state);
		free(part);
	}
	ha_state_done(&in.state);
	bytes_out_done(&bytes);
}

/* What a newer minor version has at the end of its records and behind the last one is skipped. */
static void state_of_a_newer_minor(void **state)
{
	struct bytes_out bytes = { .data = NULL };
	struct ha_state in = { .term = 1 }, out;

	(void)state;
	in.config = xmemdup("", 0);
	ha_state_encode(&in, &bytes);
	bytes_put_u32(&bytes, 7);
	assert_int_equal(ha_state_decode(bytes.data, bytes.size, &out), -EBADMSG);
	bytes.data[1] = HA_WIRE_MINOR + 1;
	assert_int_equal(ha_state_decode(bytes.data, bytes.size, &out), 0);
	ha_state_done(&out);
	bytes.data[0] = HA_WIRE_MAJOR + 1;
	assert_int_equal(ha_state_decode(bytes.data, bytes.size, &out), -EPROTONOSUPPORT);
	ha_state_done(&in);
	bytes_out_done(&bytes);
}

/* A disk that was written before there were records. */
static void state_of_the_first_minor(void **state)
{
	struct bytes_out bytes = { .data = NULL };
	struct ha_state in = { .term = 1, .version = 6 }, out;

	(void)state;
	in.config = xmemdup("", 0);
	ha_state_encode(&in, &bytes);
	bytes.data[1] = 0;
	bytes.size -= 4; /* their count */
	assert_int_equal(ha_state_decode(bytes.data, bytes.size, &out), 0);
	assert_int_equal(out.version, 6);
	assert_int_equal(out.n_records, 0);
	ha_state_done(&out);
	ha_state_done(&in);
	bytes_out_done(&bytes);
}

/* A node's record before there were watchdogs. */
static void node_of_the_second_minor(void **state)
{
	struct bytes_out bytes = { .data = NULL }, cut = { .data = NULL };
	struct ha_state in = { .term = 1, .version = 6, .n_nodes = 1 }, out;
	const size_t head = 2 + 4 * 8 + 4 + 8 + 4; /* up to the length of the first node's record */
	size_t size;

	(void)state;
	in.config = xmemdup("", 0);
	in.nodes[0] = (struct ha_state_node){ .nodeid = 1, .maintenance = HA_MAINTENANCE_ON, .watchdog_ms = 9 };
	ha_state_encode(&in, &bytes);
	size = bytes.data[head];
	bytes.data[1] = 1;
	bytes.data[head] = (uint8_t)(size - 4);
	bytes_put_raw(&cut, bytes.data, head + 4 + size - 4);
	bytes_put_raw(&cut, bytes.data + head + 4 + size, bytes.size - head - 4 - size);
	assert_int_equal(ha_state_decode(cut.data, cut.size, &out), 0);
	assert_int_equal(out.nodes[0].maintenance, HA_MAINTENANCE_ON);
	assert_int_equal(out.nodes[0].watchdog_ms, 0);
	ha_state_done(&out);
	ha_state_done(&in);
	bytes_out_done(&cut);
	bytes_out_done(&bytes);
}

static void unsorted_state_is_refused(void **state)
{
	struct ha_saved in;
	struct ha_state out;
	struct bytes_out bytes = { .data = NULL };

	(void)state;
	sample_saved(&in);
	in.state.nodes[1].nodeid = 1;
	ha_state_encode(&in.state, &bytes);
	assert_int_equal(ha_state_decode(bytes.data, bytes.size, &out), -EBADMSG);
	in.state.nodes[1].nodeid = 2;
	memcpy(in.state.records[0].group, "g2", 3); /* "g2 k" before "g2 a" */
	bytes.size = 0;
	ha_state_encode(&in.state, &bytes);
	assert_int_equal(ha_state_decode(bytes.data, bytes.size, &out), -EBADMSG);
	ha_state_done(&in.state);
	bytes_out_done(&bytes);
}

/* The largest CONFIG still fits into one message. */
static void largest_config_fits(void **state)
{
	struct ha_msg msg = sample(HA_MSG_ORDER);
	struct bytes_out bytes = { .data = NULL };

	(void)state;
	msg.command.document = xcalloc(1, HA_CONFIG_SIZE_MAX);
	msg.command.document_size = HA_CONFIG_SIZE_MAX;
	msg.command.n_groups = HA_GROUPS_MAX;
	msg.command.groups = xcalloc(HA_GROUPS_MAX, sizeof(*msg.command.groups));
	for (size_t i = 0; i < HA_GROUPS_MAX; i++)
		memset(msg.command.groups[i].name, 'a', HA_NAME_SIZE - 1);
	ha_msg_encode(&msg, &bytes);
	assert_true(bytes.size <= TRANSPORT_MESSAGE_MAX);
	assert_int_equal(decode_msg_part(bytes.data, bytes.size), 0);
	free((void *)(uintptr_t)msg.command.document);
	free(msg.command.groups);
	bytes_out_done(&bytes);
}

static void crc_is_the_usual_one(void **state)
{
	(void)state;
	assert_int_equal(bytes_crc32("123456789", 9), 0xcbf43926u);
	assert_int_equal(bytes_crc32("The quick brown fox jumps over the lazy dog", 43), 0x414fa339u);
	assert_int_equal(bytes_crc32("", 0), 0);
}

static void names_are_known(void **state)
{
	(void)state;
	assert_string_equal(ha_phase_name(HA_PHASE_ORPHANED), "orphaned");
	assert_string_equal(ha_node_state_name(HA_NODE_AWAY), "away");
	assert_string_equal(ha_evidence_name(HA_EVIDENCE_PACEMAKER), "pacemaker");
	assert_string_equal(ha_command_name(HA_CMD_GIVE_UP), "GIVE_UP");
	assert_string_equal(ha_phase_name((enum ha_phase)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_back),	      cmocka_unit_test(cut_messages_are_refused),
		cmocka_unit_test(newer_versions),	      cmocka_unit_test(flipped_bits_do_no_harm),
		cmocka_unit_test(state_comes_back),	      cmocka_unit_test(damaged_state_is_refused),
		cmocka_unit_test(changes_come_back),
		cmocka_unit_test(state_of_the_first_minor),   cmocka_unit_test(node_of_the_second_minor),
		cmocka_unit_test(state_of_a_newer_minor),     cmocka_unit_test(unsorted_state_is_refused),
		cmocka_unit_test(largest_config_fits),	      cmocka_unit_test(crc_is_the_usual_one),
		cmocka_unit_test(names_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
