/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A deterministic world around the unchanged core: a few machines in one process, one 64-bit seed, one queue of events.
 * sim_cpg.c is Corosync as it really is, sim_agent.c what lunwardd does, sim_storage.c gates, DRBD and writes,
 * sim_watchdog.c what resets a machine, sim_faults.c what goes wrong, sim_check.c and sim_placement.c what must never happen.
 */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ha/core/internal.h"

#define MAX_NODES 5
#define MAX_GROUPS 3
#define MAX_WRITES 2048
#define MAX_UUIDS 128
#define FAULT_MS 60000  /* how long things go wrong */
#define SINGLE_MS 200000 /* how long a single fault lasts */
#define OUTAGE_MAX_S 120 /* of a single fault: the lease of who was lost, its watchdog, and the takeover */
#define FAILBACK_MAX_S 8
#define HEAL_MS 400000  /* how long it may take afterwards until all is well */

#define BIT(n) (1u << (n))

struct sim;

typedef void event_fn(struct sim *sim, int node, uint64_t a, uint64_t b, void *p);

struct event {
	int64_t at_ms;
	uint64_t order;
	event_fn *fn;
	int node;
	uint64_t a, b;
	void *p;
};

/* --- what goes wrong ---*/

#define FAULTS(X)                                                                                                      \
	X(SPLIT, "split") X(JOIN, "join") X(OFF, "off") X(FREEZE, "freeze") X(STOP, "stop") X(KILL, "kill")            \
	X(GLITCH, "glitch") X(DATA, "data") X(DISK, "disk") X(WIPE, "wipe") X(COROSYNC, "corosync")                    \
	X(CONFIG, "config") X(CONFIRM, "confirm") X(MOVE, "move") X(MAINTENANCE, "maintenance") X(DOOM, "doom")           \
	X(HANG, "hang") X(DATA_DISK, "data-disk")
enum fault_kind {
#define X(id, name) FAULT_##id,
	FAULTS(X)
#undef X
	FAULT_KINDS
};

/* All that a fault decides comes from its own parameter, so that it is the same in a run with fewer of them. */
struct fault {
	int64_t at_ms;
	enum fault_kind kind;
	uint32_t param;
};

#define COVERAGE(X)                                                                                                    \
	X(TAKEOVER, "takeovers") X(MOVE, "moves") X(FENCE, "fencings") X(OUTDATE, "outdated copies")                   \
	X(WRITE, "acknowledged writes") X(TRANSITIONAL, "one-sided deliveries") X(SNAPSHOT, "snapshots")               \
	X(LOST, "new epochs in place") X(LATE_EVIDENCE, "late evidence") X(RESYNC, "resyncs")                          \
	X(SINGLE, "single faults") X(HANG, "actions that never end") X(TIE, "decided by a tie-breaker")                \
	X(COROSYNC, "deaths of Corosync") X(LIE, "lies of fencing") X(RECORD, "records")                                 \
	X(STALE_RECORD, "overtaken records") X(MAINTENANCE, "maintenances") X(EVACUATE, "groups that left for one")             \
	X(RESTARTED, "maintenances ended by a restart") X(BRAKE, "brakes") X(UNBRAKE, "brakes released")                        \
	X(CALM, "losses forgiven") X(FAILBACK, "failbacks") X(WEIGHED, "placed by weight")      \
	X(REST, "left alone when all was well") X(WATCHDOG, "resets by a watchdog") X(LATE_PET, "late pettings")               \
	X(WAITED, "watchdogs waited for") X(CUT_UNAWARE, "cut off and unaware") X(DATA_DISK, "disks with data that failed") \
	X(LEFT_DISK, "groups that left a failed disk") X(OLD_DISK, "failed disks that came back with what they had")
enum {
#define X(id, name) COVER_##id,
	COVERAGE(X)
#undef X
	COVERS
};

/* --- Corosync ---*/

enum entry_type { ENTRY_MSG, ENTRY_LEAVE, ENTRY_JOIN, ENTRY_SYNC };

struct entry { /* one message in the total order of a ring */
	enum entry_type type;
	int from; /* -1: SYNC */
	uint32_t agents; /* SYNC */
	uint8_t *data;
	size_t size;
	uint32_t received; /* who has it */
	struct entry *next; /* in a send queue */
};

struct ring {
	uint32_t members;
	bool broken; /* the token is lost: nothing is sequenced any more */
	struct entry **entries;
	size_t n, cap;
	struct ring *older;
};

/* --- agent ---*/

enum item_type { ITEM_VIEW, ITEM_QUORUM, ITEM_EVENT };

struct item { /* waits in the agent's inbox */
	struct item *next;
	struct ha_event event;
	uint32_t members, ring; /* VIEW */
	char group[HA_NAME_SIZE];
	uint8_t *data;
	struct ha_group_spec *groups;
};

enum job_step { JOB_START, JOB_PROMOTE, JOB_ASK, JOB_OPEN, JOB_CLOSE, JOB_DEMOTE, JOB_END };

struct job {
	enum ha_action_type type; /* 0: none */
	uint64_t epoch, id;
	bool lost;
	enum job_step step;
	int result;
	bool hangs; /* never ends */
};

struct machine {
	uint32_t id; /* Corosync's */
	bool power, frozen; /* frozen: the whole machine is paused */
	bool wiped_once;
	uint64_t life;      /* of the machine: counts boots */
	int64_t boot_ms;
	/* Corosync */
	bool corosync; /* it runs */
	bool corosync_stopped; /* SIGSTOP: its agent hears nothing and does not know */
	struct ring *ring; /* NULL: it does not */
	size_t delivered;
	struct entry *sendq, **sendq_tail;
	uint32_t cpg; /* agents in the group, as told so far */
	bool quorate;
	int64_t unquorate_ms; /* the agent has known since then that there is no quorum; 0: there is */
	int glitch;   /* votequorum says no in spite of the ring */
	/* agent */
	bool agent, stopped; /* stopped: SIGSTOP */
	bool joined;         /* its CPG join is in the order */
	uint64_t incarnation;
	struct ha_core *core;
	struct item *inbox, **inbox_tail;
	bool run_queued;
	uint64_t timer_seq;
	int64_t timer_ms;
	bool timer_due;
	/* watchdog */
	int64_t dog_usual_ms, dog_ms; /* its timeout, in most lives of the agent and in this one; 0: none is used */
	bool dog_ticks;               /* until it fires, whoever has started it */
	bool dog_open;                /* this life of the agent has armed it */
	uint64_t dog_pets;
	int64_t dog_busy_ms;          /* until then it cannot be opened: another program has it */
	bool pet_is_late;             /* the agent was stopped after it had looked at the clock */
	int64_t late_deadline_ms;
	/* disk */
	uint8_t *disk, *writing;
	size_t disk_size, writing_size;
	bool writing_appends;
	uint64_t disk_term, disk_version; /* of the state on the disk */
	uint64_t write_seq;
	int disk_trouble; /* writes fail */
	/* work */
	struct job jobs[MAX_GROUPS];
	int64_t job_end_ms[MAX_GROUPS];
	bool stand_down[MAX_GROUPS]; /* waits until the job has ended */
	uint64_t stand_down_epoch[MAX_GROUPS];
	uint32_t portals; /* whose portals it serves */
	/* its own copy lacks writes: as this life of the agent knows, as its disk has it, and while that is being written */
	bool behind[MAX_GROUPS], noted_behind[MAX_GROUPS], noting[MAX_GROUPS];
	uint64_t told_epoch[MAX_GROUPS]; /* the last note of an owner that serves */
	uint64_t request_incarnation[MAX_NODES], request_seq[MAX_NODES];
	uint64_t checked_term, checked_version, checked_committed;
	struct {
		enum ha_command_type type; /* of the change of the state that is looked at; NONE: an install */
		uint32_t origin;
		bool yes;
	} cause;
	struct { /* the state before it */
		bool known;
		struct ha_state_group group;
	} before[MAX_GROUPS];
	struct ha_state_node nodes_before[MAX_NODES];
	size_t n_nodes_before;
	struct { /* as the owner: how long, at this epoch, it could have gone back */
		uint64_t epoch;
		int64_t since_ms, longest_ms; /* since_ms -1: it cannot */
		uint32_t least_s;             /* the shortest delay that was asked for */
		bool had_no_disk;             /* then it goes at once; what was on its way may come when it has been mended */
	} failback[MAX_GROUPS];
	uint64_t looked_term, looked_version;
};

/* --- storage ---*/

enum disk_state { DISK_UPTODATE, DISK_INCONSISTENT };

struct copy {
	uint8_t writes[MAX_WRITES / 8];
	int latest; /* the write that a read of the block finds */
	uint32_t uuid, history[MAX_UUIDS];
	size_t n_history;
	enum disk_state disk;
	bool failed;         /* DRBD has let go of the disk: what it had stays as it was, the peer has what comes */
	bool primary, was_primary; /* was_primary: crashed as one */
	bool gate;
	bool suspended;      /* DRBD waits for the handler */
	bool alone;          /* goes on without its peer */
	bool peer_outdated;  /* metadata: the handler has said so */
	bool seen_down;      /* has noticed that the connection is gone */
	int inflight;        /* a write that waits for the peer or the handler; 0: none */
	bool asking;         /* the handler's question is with the agent */
	uint64_t ask_id;
};

struct group {
	char name[HA_NAME_SIZE];
	bool shared;      /* one disk that all nodes see: nothing but the gates keeps them apart */
	bool quorum;      /* DRBD 9 with a diskless third: it decides itself who may go on, nobody is asked */
	int tie;          /* the third, and what it remembers of the data */
	uint32_t tie_uuid; /* 0: nothing */
	int nodes[2];
	struct copy copies[2];
	bool connected, syncing;
	int source;
	uint64_t sync_id;
	int acked[MAX_WRITES], n_acked;
	int latest_acked;
	uint64_t top_epoch;
	int top_owner;
	int doom;              /* so many owners more die soon after they got it */
	uint64_t owned_epoch;  /* the last at which some node said that it is served, and when first */
	int64_t owned_ms;
	int n_restless;        /* new owners and new epochs since all was put right */
};

struct sim {
	uint64_t seed, rng;
	uint64_t trouble_rng; /* when which fault comes: apart, so that a script can take its place */
	bool verbose;
	bool rough;           /* lossy and busy in any case */
	bool liar;            /* fencing says that it has worked and has not: more than the protocol bears */
	bool single;          /* one fault, for good: nobody may be needed */
	bool watchdogs;       /* nothing but the watchdog of a node that has one gives evidence */
	bool scripted;
	const struct fault *script;
	size_t n_script;
	struct fault *told;   /* what has gone wrong */
	size_t n_told, cap_told;
	int64_t now_ms;
	struct event *heap;
	size_t n_heap, cap_heap;
	uint64_t order;
	uint64_t steps;

	int n;
	struct machine machines[MAX_NODES];
	int side[MAX_NODES];      /* partition of the cluster network */
	int data_side[MAX_NODES]; /* of the replication network */
	struct ring *rings;
	bool healing;
	int fence_luck; /* percent of fencings that work */
	int temper;     /* per mille of messages that provoke a fault */
	int64_t tempted_ms;
	int disk_ms;    /* how slow disks are */
	int token_ms;   /* how long a message waits for the token */
	bool lossy;     /* CPG is worse than it is */
	bool busy;      /* operators move groups all the time */
	int refused;    /* percent of messages that CPG does not take (CS_ERR_TRY_AGAIN) */
	int64_t calm_ms, start_wait_ms;
	uint64_t counted_term, counted_version; /* what coverage has counted */

	struct group groups[MAX_GROUPS];
	int n_groups;
	int next_write;
	uint32_t next_uuid;
	uint64_t next_id;

	/* requests under way and what was promised */
	uint64_t n_asked, n_answered;
	uint8_t config_acked[64];
	int next_config;
	uint64_t record_acked[256]; /* by number: the version that has it for sure; 0: not answered */
	int next_record;
	struct {
		uint64_t term, version;
		uint32_t crc;
	} *seen;
	size_t cap_seen, n_seen;

	jmp_buf failed;
	char failure[512];
	int coverage[COVERS]; /* how often what a good run needs has happened */
	int transitions[HA_CMD_COUNT][HA_PHASE_COUNT][HA_PHASE_COUNT];
};

struct plan { /* one run */
	uint64_t seed;
	bool verbose, liar;
	bool lossy; /* always the worst network and busy operators */
	bool watchdogs; /* always with them */
	bool scripted;
	const struct fault *script;
	size_t n_script;
};

/* sim_script.c: a failing run as a short list of faults */
int script_parse(const char *text, struct fault **ret, size_t *ret_n) must_check;
void script_print(const struct fault *script, size_t n);
void script_shrink(const struct plan *plan, const struct fault *told, size_t n_told);
bool sim_fails(const struct plan *plan, char failure[512], struct fault **ret_told, size_t *ret_n_told); /* sim_main.c */

/* sim_figures.c: numbers for whoever reads them; `name` may have one dot */
int figures_put(const char *path, const char *const names[], const double values[], size_t n) must_check;

/* sim_transitions.c */
void transitions_before(struct sim *sim, int node, const struct ha_event *event);
void transitions_after(struct sim *sim, int node);
size_t transitions_print(const uint64_t seen[HA_CMD_COUNT][HA_PHASE_COUNT][HA_PHASE_COUNT], size_t *ret_missing);


/* sim_main.c */
uint32_t sim_random(struct sim *sim, uint32_t below);
bool sim_chance(struct sim *sim, uint32_t percent);
int64_t sim_between(struct sim *sim, int64_t low, int64_t high);
void sim_at(struct sim *sim, int64_t delay_ms, event_fn *fn, int node, uint64_t a, uint64_t b, void *p);
/* Before all else of that millisecond. */
void sim_first_at(struct sim *sim, int64_t delay_ms, event_fn *fn, uint64_t a, void *p);
uint64_t sim_next_random(uint64_t *state);
void sim_log(struct sim *sim, const char *fmt, ...) printf_like(2, 3);
_Noreturn void sim_fail(struct sim *sim, const char *fmt, ...) printf_like(2, 3);

/* sim_cpg.c */
void cpg_start(struct sim *sim, int node);        /* Corosync comes up: alone */
void cpg_stop(struct sim *sim, int node);
void cpg_die(struct sim *sim, int node, int64_t back_ms);
void cpg_back(struct sim *sim, int node);
void cpg_hang(struct sim *sim, int node, int64_t for_ms);
void cpg_go_on(struct sim *sim, int node);
void cpg_send(struct sim *sim, int node, enum entry_type type, const void *data, size_t size);
void cpg_break(struct sim *sim, uint32_t nodes);  /* something has happened to these: their rings lose the token */
void cpg_reform_in(struct sim *sim, int64_t delay_ms);
void cpg_quorum_soon(struct sim *sim, int node);
void cpg_free(struct sim *sim);

/* sim_agent.c */
void agent_start(struct sim *sim, int node);
void agent_crash(struct sim *sim, int node);
void agent_wake(struct sim *sim, int node); /* after a pause */
void agent_view(struct sim *sim, int node, uint32_t members, uint32_t ring);
void agent_message(struct sim *sim, int node, int from, const void *data, size_t size);
void agent_event(struct sim *sim, int node, const struct ha_event *event);
bool agent_runs(const struct sim *sim, int node);
void machine_boot(struct sim *sim, int node);
void machine_off(struct sim *sim, int node);

/* sim_watchdog.c */
void watchdogs_build(struct sim *sim);
void watchdog_start(struct sim *sim, int node);
void watchdog_stop(struct sim *sim, int node, bool clean);
void watchdog_continue(struct sim *sim, int node);
void watchdog_lease(struct sim *sim, int node, int64_t deadline_ms);
int64_t watchdog_bound_ms(const struct sim *sim, int node, int target);
bool watchdog_is_well(const struct sim *sim, int node);

/* sim_storage.c */
void storage_boot(struct sim *sim, int node);
void storage_off(struct sim *sim, int node);
void storage_network(struct sim *sim); /* connectivity has changed */
int storage_side(const struct group *group, int node); /* 0, 1; -1: no copy */
struct copy *storage_copy(struct sim *sim, int group, int node);
bool storage_ready(struct sim *sim, int group, int node);
bool storage_peer_is_current(struct sim *sim, int group, int node);
/* 1: done, 0: not yet, -1: impossible, 2: the handler must be asked first */
int storage_promote(struct sim *sim, int group, int node, bool lost);
int storage_close(struct sim *sim, int group, int node);
void storage_open(struct sim *sim, int group, int node);
void storage_demote(struct sim *sim, int group, int node);
void storage_disconnect(struct sim *sim, int group);
void storage_fail_disk(struct sim *sim, int node);
void storage_mend_disks(struct sim *sim);
void storage_may_go_on(struct sim *sim, int group, int node);
void storage_ask(struct sim *sim, int group, int node);
bool storage_can_acknowledge(const struct sim *sim, const struct group *group, int side);
void storage_start(struct sim *sim);

/* sim_faults.c */
void faults_start(struct sim *sim);
void faults_tempt(struct sim *sim); /* a message is sent: a good moment */
extern const char *const fault_names[FAULT_KINDS];

/* sim_check.c */
void check_core(struct sim *sim, int node);
void check_storage(struct sim *sim);
void check_opening(struct sim *sim, int group, int node);
void check_alone(struct sim *sim, const struct group *group, int side);
void check_acquire(struct sim *sim, int group, int node, uint64_t epoch);
bool check_well(struct sim *sim, bool loud); /* everything is as it should be in the end */
void check_configs(struct sim *sim);
void check_records(struct sim *sim, int group, int node, uint64_t version); /* what was answered until then is there */
bool check_served(struct sim *sim, bool loud);
uint64_t check_epochs(const struct sim *sim); /* their sum: another one if anything has moved */

/* sim_placement.c: maintenance, weights, failback and the brake; m->before is the state before this change */
void placement_changed(struct sim *sim, int node);
void placement_state(struct sim *sim, int node);

#endif
