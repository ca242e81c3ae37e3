/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of one node, as its files share it: round.c installs views, order.c orders and commits, save.c keeps it on
 * the disk, lease.c keeps the watchdog's lease, local.c does this node's duties, watch.c those of the lowest node, request.c answers, action.c holds what comes out.
 */
#ifndef HA_CORE_INTERNAL_H
#define HA_CORE_INTERNAL_H

#include "ha/core/core.h"
#include "ha/core/replica.h"
#include "ha/wire/msg.h"
#include "ha/wire/state.h"

#define RESEND_MS 250         /* a message of the protocol that was not delivered to its sender */
#define COMMAND_RESEND_MS 1000
#define BYTES_PER_MS 4096     /* at the least: what is large is given time before it counts as lost */
#define RETRY_MS 1000         /* an action or a write that failed */
#define JOIN_WAIT_MAX_MS 30000
#define REQUEST_LIMIT_MS 15000 /* how long a request waits for a view to become active */

enum answer { UNKNOWN, NO, YES };

/* Something this node wants ordered, until the state shows it. Zero while it does not. */
struct want {
	bool active; /* counted in ha_core.n_wants */
	uint64_t term, tag;
	int64_t sent_ms;
};

/* --- actions ---*/

struct action {
	struct ha_action a;
	struct bytes_out data; /* owned; a.data points into it */
	char group[HA_NAME_SIZE];
	char text[HA_TEXT_SIZE + HA_TEXT_SIZE];
};

/* --- rounds and order ---*/

/* State of one round, from the BEGIN that was delivered to the membership change or the BEGIN that ends it. */
struct round {
	struct ha_round id;  /* term 0: none since the last membership change */
	int64_t since_ms;
	bool installed;      /* this node takes part and has applied the install */
	int64_t installed_ms;
	bool left_out;       /* an install came without this node: a new round is needed */
	bool has_install;    /* INSTALL was delivered, this node takes part */
	struct ha_install install;
	uint64_t install_version; /* of the state after the install */
	struct ha_ids old_electorate; /* of the state before it: a majority of both makes the view active */
	int64_t digest_sent_ms;
	bool digest_delivered;
	struct ha_ids ackers;
	uint64_t acked[HA_NODES_MAX]; /* version, by index in ackers: also what came before this node had the snapshot */
	/* snapshot, as delivered so far */
	size_t snapshot_total, snapshot_at;
	struct bytes_out snapshot;      /* what was delivered, if this node needs it */
	struct bytes_out snapshot_mine; /* what this node sends, if it is the source */
	int64_t snapshot_sent_ms;
	struct lease_peer {
		uint32_t nodeid;
		int64_t heard_ms;  /* its last stamp */
		int64_t echoed_ms; /* the last of this node's stamps that it has heard; 0: none */
	} peers[HA_NODES_MAX];
	size_t n_peers;
	int64_t stamp_ms;    /* when this node spoke last of leases: its last stamp */
	bool must_echo;      /* a stamp was heard since then */
	int64_t leased_ms;   /* the stamp that the last lease was given for */
	/* only at the node that began it */
	struct ha_digest digests[HA_NODES_MAX];
	struct ha_ids answered; /* whose digests these are */
	struct bytes_out install_bytes;
	int64_t install_sent_ms;
};

struct order { /* of the leader, not yet delivered to itself */
	struct bytes_out bytes;
	struct order *next;
};

/* --- duties ---*/

enum copy_level { COPY_UNSAID, COPY_NO, COPY_YES, COPY_STALE /* a yes that does not count any more */ };

struct local_copy {
	uint32_t nodeid;
	enum copy_level level;
	struct want want;
};

enum serving { SERVING_UNSAID, SERVING_NO, SERVING_MAYBE, SERVING_YES };

struct duty { /* an ACQUIRE or a RELEASE; type 0 (SEND): none */
	enum ha_action_type type;
	uint64_t epoch;
};

/*
 * A group is looked at again only if something it depends on may have changed (local_pump()): a step costs what has changed,
 * not what there is.
 */
struct local_group {
	char name[HA_NAME_SIZE];
	struct local_group *next_dirty, *next_unsettled;
	bool dirty;     /* is in ha_core.dirty: something in here was changed */
	bool unsettled; /* is in ha_core.unsettled: waits for a commit */
	bool waiting;   /* is in ha_core.waiting */
	int64_t wake_ms; /* wants to be looked at then, INT64_MAX: no need */
	enum serving serving;
	struct duty running;
	struct duty started;  /* the last one */
	struct duty answered; /* its result is known */
	int result;
	char text[HA_TEXT_SIZE];
	int64_t retry_ms;     /* not before */
	bool closing;         /* a STAND_DOWN was given out and has not succeeded yet */
	bool stand_down_runs;
	int64_t stand_down_retry_ms;
	enum answer ready;
	uint64_t seen_epoch;
	struct local_copy copies[HA_COPIES_MAX];
	struct want want_answer, want_ready;
	struct { /* the last transition that was told, or what was read at the start */
		uint64_t epoch;
		enum ha_phase phase;
		uint32_t owner;
	} told;
	int64_t owed_since_ms; /* watch.c: how long its owner has owed an answer at this epoch; 0: it does not */
	uint64_t owed_epoch;
	int64_t owned_since_ms, leave_since_ms; /* watch.c: this node's, 0: not; at the epoch of: */
	uint64_t owned_epoch;
	int64_t unguarded_since_ms; /* it cannot be acquired since then, since the watchdog is not armed; at the epoch of: */
	uint64_t unguarded_epoch;
	struct want want_leave, want_calm;
};

struct local_node {
	uint32_t nodeid;
	bool portals_down; /* this node does not serve its portals; only while it is asked to hand them over */
	struct want want_portals;
	bool awaited; /* it was told that it is waited for, and may be booting */
	bool fence_runs;
	uint64_t fence_seq; /* down_seq of the last fencing */
	bool fence_answered;
	int fence_result;
	enum ha_evidence fence_kind;
	char fence_text[HA_TEXT_SIZE];
	int64_t fence_retry_ms;
	struct want want_evidence, want_give_up;
	int64_t away_since_ms; /* owes an answer and is AWAY, 0: not */
};

struct request {
	struct request *next;
	enum ha_request kind;
	uint64_t id;
	struct ha_command command; /* owns document and groups */
	int64_t deadline_ms;
	uint64_t seq;     /* 0: not sent in this term */
	bool was_sent;    /* ever: the outcome of a failure is uncertain */
	bool answered;    /* only its number is still needed, until it is seen ordered or the term ends */
	bool ordered;
	uint64_t version; /* at which it was ordered */
	int result;
	char text[HA_TEXT_SIZE];
	struct want want;
};

struct ha_core {
	struct ha_settings settings;
	int64_t now_ms;
	bool started;

	struct action *actions; /* out, from next_action on */
	size_t n_actions, cap_actions, next_action;
	int64_t wake_ms, timer_ms; /* wanted, and last asked for */
	bool tell_changed;

	/* durable */
	uint64_t promised;
	struct replica replica;
	bool unreadable; /* the file was there and could not be read: this node's memory counts for nothing */
	struct {
		uint64_t promised, term, version;
	} durable, writing;
	bool write_appends;
	struct bytes_out unsaved; /* the changes since the last write was begun */
	bool save_anew;           /* they would not do: the whole state is to be written */
	bool write_runs;
	uint64_t write_seq;
	int64_t write_retry_ms;
	bool write_failed;

	/* what Corosync says */
	enum answer quorum;
	struct ha_ids members, ring;
	struct ha_ids seen; /* in either of them, ever since started_ms */
	int64_t started_ms;
	bool connected;

	/* view */
	struct round round;
	uint64_t term_seen;   /* highest promise or term heard of */
	int64_t begin_at_ms;  /* begin a round then, INT64_MAX: no need */
	int64_t join_sent_ms, join_wait_ms; /* asked for a round then, and waits that long before it asks again */
	bool join_wanted;
	int64_t ack_sent_ms;
	uint64_t ack_sent_version;
	uint64_t committed;
	bool was_active;
	size_t n_wants;           /* commands it wants ordered and does not see yet */
	int64_t unheard_since_ms; /* it has wanted since then and no order has come, 0: not */
	int64_t gap_since_ms; /* an order came too early: one before it was missed; 0: no */
	int64_t uncommitted_since_ms; /* something is, and nothing above this was committed since then; 0: not */
	uint64_t uncommitted_above;
	char blocked[HA_TEXT_SIZE]; /* why a round that everybody answered installs nothing */

	struct { /* of this node's watchdog */
		bool said;           /* the agent has spoken of it */
		uint32_t bound_ms;   /* 0: none */
		bool armed;
		struct want want;
	} lease;

	/* leader */
	struct order *orders, **orders_tail;
	size_t n_orders;
	int64_t orders_sent_ms;

	struct local_group **groups; /* ascending by name */
	size_t n_groups, cap_groups;
	struct local_group *dirty, **dirty_tail, *unsettled;
	struct local_group **waiting;
	size_t n_waiting, cap_waiting;
	int64_t groups_due_ms; /* none of the waiting is due before */
	bool all_dirty;
	struct { /* what all groups depend on, as they were last looked at */
		bool active, unguarded;
		enum answer quorum;
		uint64_t committed;
	} pumped;
	uint64_t n_pumped; /* groups looked at, ever: what the tests measure */
	struct local_node nodes[HA_NODES_MAX];
	size_t n_nodes;

	struct request *requests, **requests_tail;
};

/* action.c */
struct action *action_add(struct ha_core *core, enum ha_action_type type);
void action_group(struct ha_core *core, enum ha_action_type type, const char *group, uint64_t epoch, bool yes);
void action_note(struct ha_core *core, bool warning, const char *fmt, ...) printf_like(3, 4);
void actions_forget(struct ha_core *core);
void core_send(struct ha_core *core, const struct ha_msg *msg);
void core_send_bytes(struct ha_core *core, const struct bytes_out *bytes);
/* Asks to be called at that time at the latest. */
void core_wake(struct ha_core *core, int64_t at_ms);
/* True when `every_ms` has passed since *last_ms, which then is now; asks to be woken otherwise. */
bool core_is_due(struct ha_core *core, int64_t *last_ms, int64_t every_ms);

/* core.c */
bool ids_has(const struct ha_ids *ids, uint32_t id);
void ids_add(struct ha_ids *ids, uint32_t id);
uint32_t core_me(const struct ha_core *core);
bool core_is_active(const struct ha_core *core);
bool core_is_settled(const struct ha_core *core, uint64_t changed);
/* Why commands are impossible, "" if they are not. *ret_passive: they will stay so until the membership changes. */
const char *core_passive_reason(const struct ha_core *core, bool *ret_passive);
bool core_is_majority(const struct ha_ids *electorate, const struct ha_ids *nodes);

/* round.c */
void round_reset(struct ha_core *core);
void round_on_view(struct ha_core *core);
void round_on_begin(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void round_on_digest(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void round_on_install(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void round_on_snapshot(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void round_on_join(struct ha_core *core, uint32_t sender);
void round_pump(struct ha_core *core);
void round_pump_join(struct ha_core *core); /* after all who may want one */
bool round_sees_snapshot(const struct ha_core *core); /* the snapshot of the installed view is still being sent */
struct ha_ids settings_electorate(const struct ha_core *core);

/* order.c */
void order_reset(struct ha_core *core);
void order_installed(struct ha_core *core);
void order_on_command(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void order_on_order(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void order_on_ack(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void order_commit(struct ha_core *core);
void order_pump(struct ha_core *core);
struct ha_ids state_electorate(const struct ha_state *state);
/* Sends the command until *want is told otherwise: call on every step while it is wanted, want_drop() when it is not. */
void core_want(struct ha_core *core, struct want *want, uint64_t tag, const struct ha_command *command);
void want_drop(struct ha_core *core, struct want *want);

/* save.c */
bool save_is_done(const struct ha_core *core); /* the promise and all that was applied are on the disk: nothing said now can be forgotten */
void save_change(struct ha_core *core, const struct ha_msg *change); /* BEGIN promised, INSTALL or ORDER applied: for each of them, in order */
void save_anew(struct ha_core *core); /* the state has changed in another way */
void save_pump(struct ha_core *core);
void save_on_persisted(struct ha_core *core, uint64_t write_seq, int result);
/* What was persisted, at the start. On an error as ha_saved_decode()'s this node has no state, as if new. */
int save_restore(struct ha_core *core, const void *data, size_t size) must_check;

/* lease.c */
void lease_on_watchdog(struct ha_core *core, const struct ha_event *event);
void lease_on_lease(struct ha_core *core, uint32_t sender, const struct ha_msg *msg);
void lease_pump(struct ha_core *core);
bool lease_guards(const struct ha_core *core);     /* this node may begin to serve: nobody relies on a watchdog that is not armed */
bool lease_is_missing(const struct ha_core *core); /* somebody does, as far as is known now, settled or not */

/* local.c */
void local_on_done(struct ha_core *core, const struct ha_event *event);
bool local_on_local(struct ha_core *core, const struct ha_event *event); /* false: nothing new */
void local_on_outdate(struct ha_core *core, const char *group, uint32_t nodeid);
void local_pump(struct ha_core *core);
struct local_group *local_group(struct ha_core *core, const char *name); /* made if it is not there; not yet looked at */
void local_dirty(struct ha_core *core, struct local_group *local);       /* look at it in this step */
void locals_free(struct ha_core *core);
struct local_node *local_node(struct ha_core *core, uint32_t nodeid);    /* NULL: too many */

/* watch.c */
void watch_on_fenced(struct ha_core *core, const struct ha_event *event);
void watch_owner(struct ha_core *core, struct local_group *local, const struct ha_state_group *group); /* NULL: unknown */
void watch_own_group(struct ha_core *core, struct local_group *local, const struct ha_state_group *group); /* likewise */
void watch_pump(struct ha_core *core);

/* request.c */
void request_on_request(struct ha_core *core, const struct ha_event *event);
void request_on_ordered(struct ha_core *core, uint64_t seq, int result, const char *text);
void request_on_install(struct ha_core *core);
void request_pump(struct ha_core *core);
void requests_free(struct ha_core *core);

#endif
