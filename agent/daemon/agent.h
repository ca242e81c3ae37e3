/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's own state, shared by the files of this folder and by nobody else.
 *
 * Rule of the house: handlers record what happened; agent_turn(), after each batch of events, looks at the whole and starts
 * what is due. Each part (`groups`, `tree`, `storage`, `info`) has a kick function that is level-triggered: it compares what should be
 * with what is and may be called at any time.
 */
#ifndef AGENT_DAEMON_AGENT_H
#define AGENT_DAEMON_AGENT_H

#include <jansson.h>

#include "agent/ctl/server.h"
#include "agent/daemon/config_ref.h"
#include "agent/daemon/group_job.h"
#include "agent/daemon/loop.h"
#include "agent/daemon/roles.h"
#include "agent/daemon/settings.h"
#include "agent/daemon/timeline.h"
#include "agent/daemon/trace.h"
#include "ha/core/core.h"
#include "target-config/backend/backend.h"

struct cluster; /* cluster.c: Corosync connections */

enum duty { DUTY_NONE, DUTY_ACQUIRE, DUTY_RELEASE, DUTY_STAND_DOWN };

/* One group as this node deals with it. Exists from the moment the document names it until it is gone and idle. */
struct agroup {
	struct agent *agent;
	char name[HA_NAME_SIZE];
	bool has_copy; /* this node is one of the group's */

	/* ownership: at most one job at a time */
	struct group_job *job; /* the one that runs; NULL: none */
	bool inspected; /* `serving` is known */
	int64_t inspect_retry_ms;
	bool serving;   /* gates open, DRBD primary, for the epoch in force */
	bool holding;   /* gates hold since a release; see roles.h */
	int64_t let_go_retry_ms;
	enum duty duty; /* what the core asked for and is not started yet */
	uint64_t duty_epoch;
	bool duty_peer_lost;
	bool refresh;   /* serving, but the volumes in `live` changed: promote and open what is new */
	int64_t refresh_at_ms;
	bool alua_valid; /* alua[] is what the kernel has */
	enum lio_alua_state alua[HA_COPIES_MAX];
	int64_t alua_retry_ms;
	char late[128]; /* a job is past its deadline: its name, for status; "" if none */
	char error[ERR_TEXT_SIZE];
	bool owner_was_lost; /* edge detection for the timeline */
	uint64_t epoch;      /* as last seen, and since when */
	int64_t epoch_since_ms;
	uint64_t anew_epoch; /* given up because of what the kernel has */
	bool foreign;        /* another program exports volumes of it here, as the last tree job has found */
	struct timeline timeline;

	/* storage: at most one job at a time, beside the above */
	struct config_ref *live; /* volumes of this document exist here */
	bool provisioning;
	uint64_t provision_failed_version;
	int64_t provision_retry_ms;
	int64_t initialise_retry_ms, connect_retry_ms, resume_retry_ms, attach_retry_ms;
	bool behind;            /* own_copy.h: its copy here lacks writes, whatever DRBD and the state say */
	bool noted_behind, noting;
	bool told_behind;       /* the core has heard so, and not yet that it is equal again */
	int64_t note_retry_ms;
	bool detached;          /* disks were taken off and are still to be put on again */
	int64_t negotiating_ms; /* since when some disk does, and its peer is there; 0: none */
	char storage_error[ERR_TEXT_SIZE];
};

/* The node's target tree and portals. */
struct tree {
	bool running;
	uint64_t applied_version; /* config_version in the kernel; 0: nothing yet in this life */
	uint32_t scope[HA_NODES_MAX], want[HA_NODES_MAX]; /* nodes whose portals are, or are to be, served here */
	size_t n_scope, n_want;
	bool is_torn; /* a job to change the scope has begun and none has ended well since: other portals than those may be here */
	int64_t retry_ms;
	char error[ERR_TEXT_SIZE];
	char closing[ERR_TEXT_SIZE]; /* lio_closing() */
	char lacks[ERR_TEXT_SIZE]; /* a port of hardware that this node has not got; all else is in place */
	bool refused;              /* ... because the kernel would not have it */
	bool stale;                /* what ports there are has changed since */
	int64_t look_ms;           /* at the ports, again */
	char template_path[64];
};

struct own_info { /* as it came back from the others' side of Corosync, and when */
	void *data;
	size_t size;
	uint64_t term;
};

struct node_info { /* what a node said last about itself (HA_ACT_INFO) */
	uint32_t nodeid;
	json_t *info;
};

struct health; /* health.c */
struct pools; /* pools.c */
struct reservations; /* reservations.c */
struct sessions; /* sessions.c */
struct queued_event; /* agent.c */
struct watchdog; /* ha/watchdog */
struct waiter; /* commands.c: an operator's command that waits for the cluster */

struct agent {
	uint32_t nodeid;
	struct loop *loop;
	struct settings settings;
	struct ha_core *core;
	struct trace *trace; /* NULL: none is wanted */
	struct slot_file *state_file; /* store.c */
	struct cluster *cluster;
	struct ctl_server *ctl;
	struct config_ref *config; /* the committed document, parsed; NULL before the first */

	struct agroup **groups;
	size_t n_groups, cap_groups;
	struct tree tree;
	struct reservations *reservations;
	struct sessions *sessions; /* NULL until somebody asks */
	struct health *health; /* NULL: nobody looks */
	struct pools *pools; /* NULL before the first document */

	struct drbd_table *drbd;
	int drbd_fd, drbd_pid;
	bool drbd_fresh; /* the first dump is complete: states can be believed */
	bool drbd_stale; /* the kernel dropped events: ask anew */
	int64_t drbd_restart_ms;
	int64_t drbd_again_ms; /* when to ask for all states anew, while not all is well */
	char drbd_line[4096];
	size_t drbd_line_len;

	struct loop_timer core_timer, turn_timer, info_timer;
	int64_t turn_by_ms;
	int64_t leave_by_ms; /* asked to end, which it does then, or as soon as its groups' states are written; 0: not asked */
	bool stepping; /* inside ha_core_step() or its actions: further events wait in `queue` */
	struct queued_event *queue, **queue_tail;
	bool changed; /* the core said CHANGED since the last turn */
	bool info_dirty;
	struct own_info own_info_heard;
	struct {
		bool looking;
		int64_t next_ms;
		json_t *list; /* NULL: none seen yet */
	} connections; /* connections.c */
	struct node_info infos[HA_NODES_MAX];
	size_t n_infos;
	struct waiter *waiters;
	uint64_t next_request_id;
	char fence_note[ERR_TEXT_SIZE];
	struct watchdog *watchdog; /* node_watchdog.c; NULL: not armed in this life */
	bool watchdog_failed;
	char watchdog_error[ERR_TEXT_SIZE];
};

/* agent.c */
void agent_step(struct agent *agent, const struct ha_event *event); /* feeds the core and performs its actions */
void agent_turn(void *agent);
void agent_take_config(struct agent *agent); /* parses the core's document if it is new */
/* Ask for a turn no later than then. */
void agent_turn_by(struct agent *agent, int64_t deadline_ms);
uint32_t agent_me(const struct agent *agent);
const char *agent_node_name(const struct agent *agent, uint32_t nodeid); /* "nobody" for 0 */
bool agent_node_is_up(const struct agent *agent, uint32_t nodeid);
struct agroup *agent_group(struct agent *agent, const char *name);
bool agent_pacemaker_places(const struct agent *agent, const char *group); /* by the document */

/* groups.c */
void groups_sync_list(struct agent *agent); /* after a new document */
void groups_kick(struct agent *agent);
/* No job runs, and hosts see what they are to see. */
bool groups_rest(const struct agent *agent);
void groups_duty(struct agroup *group, enum duty duty, uint64_t epoch, bool peer_lost);
bool groups_ready(const struct agroup *group);

/* tree.c */
void tree_kick(struct agent *agent);
/* The document in force is in place, and no portal is on the move or left over from a job that failed half way. Needs a document. */
bool tree_rests(const struct agent *agent);
bool tree_serves_portals_of(const struct agent *agent, uint32_t nodeid);
void tree_ports_cut(struct agent *agent); /* ports were taken down to cut hosts off: they come up again */
/* Dry reconcile of this node in a worker; `done` gets the steps (borrowed text) and counts. */
void tree_check(struct agent *agent, void (*done)(void *ctx, int result, const char *steps, size_t n_writes, size_t n_objects,
						  const struct err *err),
		void *ctx);

/* storage.c */
void storage_kick(struct agent *agent);
void storage_restart_events(struct agent *agent); /* the states must be read anew before they are believed */
bool storage_disks_usable(const struct agent *agent, const struct config_group *group);
const char *storage_disk_error(const struct agent *agent, const struct agroup *group); /* "": none */
json_t *storage_copies_json(const struct agent *agent, const struct agroup *group);

/* cluster.c */
struct cluster *cluster_new(struct agent *agent);
void cluster_free(struct cluster *cluster);
void cluster_send(struct cluster *cluster, const void *data, size_t size);
/* Reads Corosync's nodelist; blocks briefly, at start only. */
int cluster_electorate(struct ha_settings *ret_settings, struct err *err) must_check;

/* info.c */
void info_received(struct agent *agent, uint32_t nodeid, const void *data, size_t size);
void info_touch(struct agent *agent); /* something worth telling the others has changed */
json_t *info_of(const struct agent *agent, uint32_t nodeid); /* borrowed, NULL if unknown */

/* status.c */
json_t *status_json(const struct agent *agent);

/* commands.c */
int commands_start(struct agent *agent, struct err *err) must_check;
void commands_turn(struct agent *agent); /* answers waiting operators, updates watchers */
void commands_core_reply(struct agent *agent, uint64_t request_id, int result, const char *text);

#endif
