/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated state (docs/PROTOCOL.md) and its bytes: the same for a snapshot on the wire and for the file of one node.
 * What it means and how it changes is ha/core's business.
 */
#ifndef HA_WIRE_STATE_H
#define HA_WIRE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "ha/wire/bytes.h"
#include "ha/wire/msg.h"
#include "ha/wire/types.h"

/* A reader refuses another major version and skips what a newer minor version has added at the end of a record. */
#define HA_WIRE_MAJOR 1
#ifndef HA_WIRE_AHEAD /* else a test of mixed versions */
#define HA_WIRE_AHEAD 0
#endif
#define HA_WIRE_MINOR (2 + HA_WIRE_AHEAD)

struct ha_state_node {
	uint32_t nodeid;
	bool elects;                /* member of the electorate this state was installed for */
	enum ha_node_state state;
	uint64_t down_seq;          /* counts its disappearances */
	enum ha_evidence evidence;  /* for this down_seq */
	char reason[HA_TEXT_SIZE];  /* last trouble with fencing it */
	uint32_t portal_holder, portal_next;
	uint64_t request_incarnation; /* its last request that was ordered: requests are obeyed once and in order */
	uint64_t request_seq;
	int32_t request_result;
	uint64_t changed;           /* version of the last change that others act upon */
	enum ha_maintenance maintenance; /* since minor 1: gets nothing, and gives away what it has */
	uint32_t watchdog_ms;       /* since minor 2: so long after it was cut off its watchdog has reset it; 0: it has none */
};

struct ha_state_group {
	struct ha_group_spec spec;
	uint64_t epoch;
	enum ha_phase phase;
	uint32_t owner, to;
	uint32_t from;  /* previous owner of a planned move: first choice if `to` fails */
	bool held;      /* released on request: not placed by itself */
	bool lost;      /* the last owner went without a release */
	uint32_t current[HA_COPIES_MAX], ready[HA_COPIES_MAX], failed[HA_COPIES_MAX]; /* sets, ascending, 0-filled */
	char reason[HA_TEXT_SIZE];
	uint64_t changed;
	/* since minor 1 */
	uint8_t losses; /* owners lost since one of them has served for long enough (CALM), or an operator has moved it */
	uint32_t outdates; /* how often a copy has been taken out of `current` by a CURRENT: an older yes is void */
	bool stays;     /* giving it away by itself has failed: not tried again until something changes */
};

/* Opaque bytes that the copies of a group keep for it, say a volume's reservations by its serial. */
struct ha_state_record {
	char group[HA_NAME_SIZE];
	char key[HA_TEXT_SIZE];
	uint64_t changed;
	uint8_t *data;
	size_t size;
};

struct ha_state {
	uint64_t term, version; /* together they name one content: docs/PROTOCOL.md */
	uint64_t config_version, config_changed;
	uint8_t *config;
	size_t config_size;
	uint64_t epoch_floor;   /* no group starts at or below it: names are used again */
	struct ha_state_node nodes[HA_NODES_MAX]; /* ascending by id */
	size_t n_nodes;
	struct ha_state_group *groups; /* ascending by name */
	size_t n_groups;
	struct ha_state_record *records; /* ascending by group and key */
	size_t n_records;
};

int ha_record_compare(const struct ha_state_record *record, const char *group, const char *key); /* their order */
void ha_state_done(struct ha_state *state);
void ha_state_encode(const struct ha_state *state, struct bytes_out *out);
/* -EBADMSG, or -EPROTONOSUPPORT for another major version. The caller owns *ret: ha_state_done(). */
int ha_state_decode(const void *data, size_t size, struct ha_state *ret) must_check;

/* What one node keeps on disk: a state, and after it the messages that have changed the promise or the state since, in order. What a newer
 * minor version adds stands inside of the state, so that the end of it can be found. */
struct ha_saved {
	uint64_t promised; /* answers no round of this term or an older one, but the one it answered */
	struct ha_state state;
	struct bytes_in changes; /* borrowed from what was decoded: ha_saved_next() */
};

void ha_saved_encode(uint64_t promised, const struct ha_state *state, struct bytes_out *out);
void ha_saved_add(const struct ha_msg *change, struct bytes_out *out);
/* The caller owns ret->state. */
int ha_saved_decode(const void *data, size_t size, struct ha_saved *ret) must_check;
/* 1: the next change, then ha_msg_done(). 0: there is none. Negative as ha_msg_decode(). */
int ha_saved_next(struct ha_saved *saved, struct ha_msg *ret) must_check;

void ha_group_spec_encode(const struct ha_group_spec *spec, struct bytes_out *out);
void ha_group_spec_decode(struct bytes_in *in, bool newer, struct ha_group_spec *ret);

#endif
