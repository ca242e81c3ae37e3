/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The messages nodes exchange (docs/PROTOCOL.md) and their bytes. */
#ifndef HA_WIRE_MSG_H
#define HA_WIRE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "ha/wire/bytes.h"
#include "ha/wire/types.h"

#define HA_SNAPSHOT_CHUNK (256u << 10)
#define HA_STATE_SIZE_MAX (32u << 20) /* a document, all groups and all records */

#define HA_COMMANDS(X)                                                                                                 \
	X(CONFIG) X(MOVE) X(RELEASED) X(ACQUIRED) X(LOST) X(EVIDENCE) X(CURRENT) X(READY) X(PORTALS) X(GIVE_UP) X(MAINTENANCE) X(CALM) X(RECORD) \
	X(WATCHDOG)
enum ha_command_type {
	HA_CMD_NONE,
#define X(id) HA_CMD_##id,
	HA_COMMANDS(X)
#undef X
};
#define HA_CMD_COUNT (HA_CMD_WATCHDOG + 1)

/* One form for all commands; which members count is in the table of docs/PROTOCOL.md. */
struct ha_command {
	enum ha_command_type type;
	uint64_t incarnation, seq; /* set if it is a request that must be obeyed once: numbers from 1 in each life */
	char group[HA_NAME_SIZE];
	uint32_t nodeid;
	uint64_t number; /* epoch, down_seq, base_version or watchdog_ms */
	int32_t result;
	bool yes;
	enum ha_evidence evidence;
	char text[HA_TEXT_SIZE];
	const void *document; /* CONFIG, RECORD: borrowed */
	size_t document_size;
	struct ha_group_spec *groups; /* CONFIG: owned after a decode, borrowed for an encode */
	size_t n_groups;
};

/* A round is named by its term, who began it and in which of its lives. */
struct ha_round {
	uint64_t term;
	uint64_t incarnation;
	uint32_t nodeid;
};

enum ha_msg_type {
	HA_MSG_BEGIN = 1,
	HA_MSG_DIGEST,
	HA_MSG_INSTALL,
	HA_MSG_SNAPSHOT,
	HA_MSG_ACK,
	HA_MSG_JOIN,
	HA_MSG_COMMAND,
	HA_MSG_ORDER,
	HA_MSG_INFO,
	HA_MSG_LEASE, /* since minor 2 */
};

struct ha_ids {
	uint32_t ids[HA_NODES_MAX];
	size_t n;
};

struct ha_digest {
	bool refused;      /* the round's term is not above what was promised */
	bool unreadable;   /* this node could not read its own file: counts for nothing */
	uint64_t promised;
	uint64_t term, version;
	uint32_t crc;      /* of the state's bytes */
	struct ha_ids electorate; /* of the state */
};

struct ha_install {
	struct ha_ids participants, ring, electorate;
	uint32_t source;
	uint64_t source_term, source_version;
	uint32_t source_crc;
	bool snapshot; /* the source sends its state */
};

/* A stamp is the sender's own clock, which means nothing to anybody else: it comes back in an echo as it was. */
struct ha_echo {
	uint32_t nodeid;
	int64_t stamp_ms; /* the last one heard from it in this round */
};

struct ha_lease {
	int64_t stamp_ms;
	struct ha_echo echoes[HA_NODES_MAX];
	size_t n_echoes;
};

struct ha_msg {
	enum ha_msg_type type;
	struct ha_round round; /* BEGIN, DIGEST, INSTALL, SNAPSHOT */
	uint64_t term;         /* ACK, COMMAND, ORDER, LEASE */
	uint64_t version;      /* ACK, ORDER */
	uint32_t origin;       /* ORDER: who sent the command */
	struct ha_digest digest;
	struct ha_install install;
	struct ha_lease lease;
	uint32_t total, offset; /* SNAPSHOT */
	const void *data;       /* SNAPSHOT, INFO: borrowed */
	size_t size;
	struct ha_command command;
};

void ha_msg_encode(const struct ha_msg *msg, struct bytes_out *out);
/* -EBADMSG for bytes that are no message, -EPROTONOSUPPORT for another major version. On success ha_msg_done(). */
int ha_msg_decode(const void *data, size_t size, struct ha_msg *ret) must_check;
void ha_msg_done(struct ha_msg *msg);

const char *ha_command_name(enum ha_command_type type);

#endif
