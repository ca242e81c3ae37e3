/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the reservations share. All of it belongs to the loop's thread, unless said otherwise. */
#ifndef AGENT_DAEMON_RESERVATIONS_INTERNAL_H
#define AGENT_DAEMON_RESERVATIONS_INTERNAL_H

#include <pthread.h>

#include "agent/daemon/reservations.h"
#include "target-config/pr/pr.h"
#include "target-config/prfs/prfs.h"

struct question {
	struct question *next;
	struct reservations *r;
	uint64_t ticket;
	char *serial;
	struct pr_table table; /* what the kernel has now */
	struct err unreadable; /* code 0: it could be parsed */
	char *listing;         /* the kernel's registrations when the question came; NULL: not known */
	int64_t asked_ms, again_ms;
	uint64_t request_id;   /* the core has not answered yet */
	struct pr_table before, want; /* of the request */
	bool refusing;         /* a worker cuts the host off */
	bool answered;         /* the host was cut off; the table is still to follow the kernel */
	bool came_to_other;    /* through the port of a node that did not own the group */
	bool looking, looked;  /* whether the kernel has the reservation that `table` says: a worker does, has done */
	bool is_stale, is_past; /* it has not; it has the one that is agreed already */
	bool moving;           /* the group was asked for, so that this node may decide it */
	uint64_t move_id;      /* of that request, until it is answered */
};

struct rvolume {
	char *serial;
	char name[CONFIG_NAME_MAX + 1], group[HA_NAME_SIZE]; /* "": gone from the document */
	struct pr_table cluster; /* the record */
	uint64_t changed;        /* its version, 0: there is none */
	int64_t changed_ms;
	bool checked;            /* a tree job has looked at the kernel in this life */
	bool knows;              /* `known` is what this node's kernel has, as far as the cluster agreed to it */
	struct pr_table known;
	bool differs;            /* the kernel has what the cluster did not agree to */
	bool load_failed;
	bool said_missing;
	bool forgetting;
	uint64_t tidy_id;
};

struct reservations {
	struct agent *agent;
	struct prfs *prfs; /* NULL: off */
	int64_t connect_ms;
	char said[ERR_TEXT_SIZE];
	struct rvolume **volumes;
	size_t n, cap;
	struct question *questions; /* in the order they came */
	uint64_t published;  /* version of the document that `ways` and the names are of */
	bool any;            /* some volume has a table, or needs care: else nobody has to look */
	pthread_mutex_t lock; /* guards ways */
	struct way *ways; /* of reservation_hosts.c */
	size_t n_ways, cap_ways;
};

static inline void set_table(struct pr_table *table, const struct pr_table *to)
{
	struct pr_table copy;

	pr_table_copy(to, &copy);
	pr_table_done(table);
	*table = copy;
}

static inline bool reservations_on(const struct agent *agent)
{
	return agent->reservations && agent->reservations->prfs;
}

/* --- volumes: reservations.c --- */

enum place { PLACE_OWNER, PLACE_OTHER, PLACE_CHANGING, PLACE_HEIR }; /* see rvolume_place() */
enum place rvolume_place(const struct reservations *r, const struct rvolume *v);
struct rvolume *rvolume_find(const struct reservations *r, const char *serial); /* NULL: none of ours */
struct agroup *rvolume_group(const struct reservations *r, const struct rvolume *v); /* NULL: gone from the document */
char *rvolume_known_path(const struct reservations *r, const char *serial); /* any thread; to be freed */
void rvolume_set_known(struct reservations *r, struct rvolume *v, const struct pr_table *table);
bool rvolume_is_behind(const struct rvolume *v); /* the kernel has not got the cluster's table */
/* ... and may answer GOOD without a write, so that nobody can object, where that is wrong: RESERVE to who it thinks has the reservation, RELEASE
 * to who it thinks has not. Not one that only lacks registrations, or a reservation that nobody has by a path of this node: GOOD is right
 * for the RELEASE of a path that does not hold. Nor need that one be loaded in haste: hosts that go from volume to volume, each time
 * registering all their paths and reserving, would meet a volume in transition by the path they have not come to yet. */
bool rvolume_may_mislead(const struct reservations *r, const struct rvolume *v);
bool rvolume_read_record(struct reservations *r, struct rvolume *v);
int rvolume_parse(const void *data, size_t size, struct pr_table *ret, struct err *err) must_check;
/* Has the cluster take `table`; the answer comes to reservations_reply(), perhaps at once. */
void rvolume_request(struct reservations *r, const struct rvolume *v, const struct pr_table *table, uint64_t request_id);

/* --- commands that wait for an answer: reservation_questions.c --- */

void questions_connect(struct reservations *r); /* to the keeper; later again if there is none */
void questions_decide(struct reservations *r);  /* what can be */
/* The host does not hear GOOD. Frees q, now or when it was cut off. */
void question_refuse(struct reservations *r, struct question *q, struct rvolume *v, const char *why);
bool questions_any(const struct reservations *r, const struct rvolume *v);
bool questions_debt(const struct reservations *r, const struct rvolume *v);   /* whose host was cut off: the table has to follow the kernel */
bool questions_moving(const struct reservations *r, const struct rvolume *v); /* the kernel has what the cluster has not agreed to yet */

/* --- ports of nodes' hardware, pure: reservation_ports.c --- */

struct pr_port *node_ports(const struct config *config, const struct lio_scope *scope, size_t *ret_n);
void node_ports_free(struct pr_port *ports, size_t n);

/* --- connections of hosts, any thread: reservation_hosts.c --- */

void hosts_publish(struct reservations *r); /* in the loop: as in the document in force */
int hosts_cut(struct reservations *r, const char *serial, struct err *err) must_check;
char *hosts_volume(struct reservations *r, const char *serial); /* its name, to be freed; NULL: none of ours */

#endif
