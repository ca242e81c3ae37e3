// SPDX-License-Identifier: GPL-2.0-or-later
/* One node's change put into the cluster's table. */
#include <errno.h>
#include <string.h>

#include "target-config/pr/internal.h"

static bool is_all_registrants(enum pr_type type)
{
	return type == PR_TYPE_WRITE_EXCLUSIVE_ALL || type == PR_TYPE_EXCLUSIVE_ACCESS_ALL;
}

void pr_table_loaded(const struct pr_table *cluster, struct pr_table *ret)
{
	pr_table_copy(cluster, ret);
	for (size_t i = ret->n; i-- > 0;) {
		if (ret->registrations[i].unloaded)
			pr_table_remove(ret, &ret->registrations[i]);
	}
}

bool pr_table_note_loaded(struct pr_table *cluster, const struct pr_table *kernel)
{
	bool any = false;

	for (size_t i = 0; i < cluster->n; i++) {
		struct pr_registration *r = &cluster->registrations[i];
		const struct pr_registration *has = r->unloaded ? pr_table_find(kernel, r) : NULL;

		if (has && has->key == r->key && has->all_tg_pt == r->all_tg_pt) {
			r->unloaded = false;
			any = true;
		}
	}
	return any;
}

/* Some registration with this key is gone; one whose key was changed is not. */
static bool key_was_removed(const struct pr_table *before, const struct pr_table *after, uint64_t key)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct pr_registration *was = &before->registrations[i];

		if (was->key == key && !pr_table_find(after, was))
			return true;
	}
	return false;
}

/* Whether a registration that the owner's kernel has not got goes with what that kernel removed. */
static bool goes_too(const struct pr_table *before, const struct pr_table *after, const struct pr_registration *unloaded)
{
	const struct pr_registration *holder = pr_table_holder(before); /* NULL also: not of iSCSI, and not loaded here (pr_table_seen_from()) */
	struct pr_change change = pr_table_compare(before, after);

	if (change.n_removed && (after->n == 0 || key_was_removed(before, after, unloaded->key)))
		return true;
	/* A holder that preempts itself takes along who has the same key. That it kept even the type does not show; it is one host's own. */
	if (change.reservation && after->type && holder && holder->key == unloaded->key)
		return true;
	/* PREEMPT with a key of zero takes everybody else off an all-registrants reservation, and may leave the kernel's own table as it
	 * was; what the kernel removes, it may release or hand on without regard for those it does not know. Only a new registration
	 * or key is surely none of these. */
	return is_all_registrants(before->type) && (change.n_removed || change.reservation || !(change.n_added || change.n_rekeyed));
}

static int check_size(struct pr_table *table, struct err *err)
{
	if (table->n <= PR_REGISTRATIONS_MAX)
		return 0;
	pr_table_done(table);
	return err_set(err, -E2BIG, "more than %d registrations on one volume", PR_REGISTRATIONS_MAX);
}

int pr_merge_owner(const struct pr_table *cluster, const struct pr_table *after, struct pr_table *ret, struct err *err)
{
	_cleanup_pr_table_ struct pr_table before = { 0 };
	struct pr_table table;
	size_t n = after->n;
	int rc;

	pr_table_loaded(cluster, &before);
	pr_table_copy(after, &table);
	for (size_t i = 0; i < n; i++)
		table.registrations[i].unloaded = false;
	for (size_t i = 0; i < cluster->n; i++) {
		const struct pr_registration *r = &cluster->registrations[i];

		if (r->unloaded && !pr_table_find(after, r) && !goes_too(&before, after, r))
			*pr_table_add(&table) = *r;
	}
	if (table.n > n)
		pr_table_sort(&table);
	rc = check_size(&table, err);
	if (rc == 0)
		*ret = table;
	return rc;
}

static int refuse(struct err *err, const char *why)
{
	return err_set(err, -EPERM, "%s: that is for the owner's paths", why);
}

struct merging {
	const struct pr_table *cluster, *before;
	uint32_t nodeid;
	const char *initiator;
	struct err *err;
};

/* One initiator, its own ports; what the owner's kernel has got cannot be changed here. */
static int check_path(struct merging *m, const struct pr_registration *r, bool is_new)
{
	const struct pr_registration *held = pr_table_find(m->cluster, r);

	if (m->initiator && strcmp(m->initiator, r->initiator) != 0)
		return refuse(m->err, "it changed the registrations of several initiators");
	m->initiator = r->initiator;
	if (r->tpgt != m->nodeid && !(is_new && r->all_tg_pt))
		return refuse(m->err, "it changed a registration of another node's port");
	if (held && !held->unloaded)
		return refuse(m->err, "it changed a registration that the owner enforces");
	return 0;
}

static int merge_new(struct merging *m, const struct pr_registration *now, struct pr_table *table)
{
	const struct pr_registration *was = pr_table_find(m->before, now);
	struct pr_registration *mine = pr_table_find(table, now);
	bool holder;
	int rc;

	if (was && was->key == now->key && was->all_tg_pt == now->all_tg_pt)
		return 0;
	rc = check_path(m, now, !was);
	if (rc < 0)
		return rc;
	holder = mine && mine->holder; /* as seen from here: pr_table_seen_from() */
	if (!mine)
		mine = pr_table_add(table);
	*mine = *now;
	mine->unloaded = true;
	mine->holder = holder;
	pr_table_sort(table);
	return 0;
}

static int merge_gone(struct merging *m, const struct pr_registration *was, const struct pr_table *after, struct pr_table *table)
{
	struct pr_registration *mine = pr_table_find(table, was);
	int rc;

	if (pr_table_find(after, was))
		return 0;
	rc = check_path(m, was, false);
	if (rc < 0)
		return rc;
	/* It may have been a CLEAR or a PREEMPT, which met only what this kernel knows. */
	if (!pr_table_equal(m->cluster, m->before))
		return refuse(m->err, "it unregistered while this node did not know all registrations");
	if (mine)
		pr_table_remove(table, mine);
	return 0;
}

int pr_merge_other(const struct pr_table *cluster, const struct pr_table *before, const struct pr_table *after, uint32_t nodeid,
		   struct pr_table *ret, struct err *err)
{
	struct merging m = { cluster, before, nodeid, NULL, err };
	struct pr_table table;
	int rc = 0;

	if (pr_table_compare(before, after).reservation)
		return refuse(err, "it changed the reservation");
	pr_table_copy(cluster, &table);
	for (size_t i = 0; rc == 0 && i < after->n; i++)
		rc = merge_new(&m, &after->registrations[i], &table);
	for (size_t i = 0; rc == 0 && i < before->n; i++)
		rc = merge_gone(&m, &before->registrations[i], after, &table);
	if (rc < 0)
		pr_table_done(&table);
	else
		rc = check_size(&table, err);
	if (rc == 0)
		*ret = table;
	return rc;
}

static bool is_reserve(const struct pr_table *before, const struct pr_table *after)
{
	struct pr_change change = pr_table_compare(before, after);

	return !before->type && after->type && !change.n_added && !change.n_rekeyed && !change.n_removed;
}

int pr_merge_heir(const struct pr_table *cluster, const struct pr_table *before, const struct pr_table *after, struct pr_table *ret,
		  struct err *err)
{
	const struct pr_registration *holder = pr_table_holder(after);
	struct pr_registration *mine = holder ? pr_table_find(cluster, holder) : NULL;
	struct pr_table table;

	if (pr_table_equal(cluster, before)) {
		pr_table_copy(after, &table);
		for (size_t i = 0; i < table.n; i++)
			table.registrations[i].unloaded = false;
	} else if (is_reserve(before, after) && !cluster->type && mine && mine->key == holder->key) {
		pr_table_copy(cluster, &table);
		table.type = after->type;
		pr_table_find(&table, holder)->holder = true;
	} else {
		return refuse(err, "this node does not know all of the table yet");
	}
	*ret = table;
	return 0;
}
