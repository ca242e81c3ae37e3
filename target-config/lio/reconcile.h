/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of lio: one run of lio_reconcile(), shared by its two halves: taking away (remove.c) and building (reconcile.c). */
#ifndef TARGET_CONFIG_LIO_RECONCILE_H
#define TARGET_CONFIG_LIO_RECONCILE_H

#include <pthread.h>

#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"

struct name_set { /* sorted once filled */
	char **names;
	size_t n, cap;
};

void name_set_add(struct name_set *set, const char *name);
void name_set_sort(struct name_set *set);
bool name_set_has(const struct name_set *set, const char *name);
void name_set_done(struct name_set *set);

struct lio_foreign_lun { /* of another program's, with a volume of the document: takeover.c */
	char *lun; /* below the root */
	const char *volume, *tpg; /* the tree's */
	bool stays;
};

struct lio_run {
	const struct lio_tree *tree;
	bool plan_only;
	unsigned int threads;
	const struct lio_object **by_path; /* all objects of the tree, sorted by path */
	struct name_set exported;          /* volumes some LUN of ours is linked to, less the stale ones */
	struct name_set stale;             /* exported, but another disk than the document says */
	struct name_set gone;              /* plan_only: paths that would be removed first */
	pthread_mutex_t lock;              /* guards what follows */
	struct strbuf *plan;
	struct lio_report report;
	struct err soft_err;
	struct name_set lost;              /* "srpt/<port>" of which something could not be had: the rest of it is left too */
	struct name_set announce;          /* "fc/<port>" that has to log in anew */
	struct {
		struct lio_foreign_lun *luns;
		size_t n, cap, n_taken;
		struct name_set devices; /* that are taken */
	} foreign;
	int observe_rc; /* something could not be looked at: then nothing is taken away on the strength of the rest */
};

const struct lio_object *lio_wanted(const struct lio_run *run, const char *path);

/* One step: noted in the plan and, unless plan_only, done. `shown`: the value as people may see it. -EBUSY: lio_is_closing(). */
int lio_do_write(struct lio_run *run, const char *path, const char *value, const char *shown, struct err *err) must_check;
void lio_note_write(struct lio_run *run, const char *path, const char *shown); /* of a write that is done elsewhere */
int lio_do_mkdir(struct lio_run *run, const char *path, struct err *err) must_check;
int lio_do_rmdir(struct lio_run *run, const char *path, struct err *err) must_check;
int lio_do_link(struct lio_run *run, const char *path, const char *to, struct err *err) must_check;
int lio_do_unlink(struct lio_run *run, const char *path, struct err *err) must_check;

/* plan_only: would the removals have taken it away by now? */
bool lio_is_gone(const struct lio_run *run, const char *path);
bool lio_exists(const struct lio_run *run, const char *path);
int lio_ensure_dir(struct lio_run *run, const char *path, struct err *err) must_check;

/* 1: the link leads to `to` (below the root), 0: it does not or there is none; negative errno: cannot tell. */
int lio_link_leads_to(const struct lio_run *run, const char *path, const char *to) must_check;

/* Observes what is Lunward's and removes what the tree does not want, in an order the kernel takes and hosts survive.
 * Planning fills exported, stale and gone. ret_waits: steps that wait for an RCU grace period. */
struct lio_removal;
int lio_removal_plan(struct lio_run *run, struct lio_removal **ret_removal, size_t *ret_waits, struct err *err) must_check;
int lio_removal_run(struct lio_run *run, struct lio_removal *removal, struct err *err) must_check;
void lio_removal_free(struct lio_removal *removal);
/* All stand-ins, which nothing leads to any more. */
int lio_removal_plan_standins(struct lio_run *run, struct lio_removal **ret_removal, struct err *err) must_check;

/* Stand-ins for what is to be made anew and is mapped: before anything of it goes; a mapped LUN that leads to one is no removal then, it is
 * led back when it is built. Dropped when all is built, also those that a run which was broken off has left. */
int lio_standins_raise(struct lio_run *run, struct err *err) must_check;
int lio_standins_drop(struct lio_run *run, struct err *err) must_check;
bool lio_is_standin_lun(const char *path);
/* For the device of one mapped LUN's link, and the LUN that is to be led to instead of link->value: allocated. */
int lio_standin_ensure(struct lio_run *run, const struct lio_object *link, struct err *err) must_check;
char *lio_standin_lun(const char *lun) must_check;
/* 1: this link of a mapped LUN leads to a stand-in; 0: it does not or there is none. */
int lio_link_leads_to_standin(const struct lio_run *run, const char *path) must_check;

/* Volumes that another program exports at a target of the tree; -EBUSY: one that can neither stay with it nor be taken. */
int lio_foreign_find(struct lio_run *run, struct err *err) must_check;
void lio_foreign_done(struct lio_run *run);
bool lio_foreign_is_at(const struct lio_run *run, const char *tpg);
/* Such a LUN, or mapped LUN, is left alone: its group is not acquired here yet. */
bool lio_foreign_stays(const struct lio_run *run, const char *lun);
bool lio_foreign_stays_mapped(const struct lio_run *run, const char *mapped);
/* What cannot be built because of that. */
bool lio_foreign_is_left(const struct lio_run *run, const struct lio_object *object);
/* What is mapped to LUNs that are taken leads to stand-ins afterwards. */
int lio_foreign_stand_in(struct lio_run *run, struct err *err) must_check;
/* Hosts are to be made to wait while mapped LUNs are led back from stand-ins: what is behind them was another program's. */
bool lio_foreign_stood_in(const struct lio_run *run);
/* Makes the hosts of portal groups with LUNs that are taken wait, until nothing comes in any more; or go on. */
int lio_hold(struct lio_run *run, bool hold, struct err *err) must_check;

/* Is the portal group reached by iSER? */
bool lio_has_iser(const struct lio_run *run, const char *tpg);
/* Returns when the LUNs of the portal group get no commands any more, in 3 s at most; false: they still do. */
bool lio_wait_quiet(const struct lio_run *run, const char *tpg);
/* Disables it. If the kernel has not come back after lio_scope.close_limit_ms, so does this, with 0, and nothing below `tpg` can be changed until
 * it has. */
int lio_disable(struct lio_run *run, const char *tpg, struct err *err) must_check;
bool lio_is_closing(const struct lio_run *run, const char *path);

#endif
