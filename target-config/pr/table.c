// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables: order, search, difference. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/pr/internal.h"

void pr_table_done(struct pr_table *table)
{
	free(table->registrations);
	memset(table, 0, sizeof(*table));
}

void pr_table_copy(const struct pr_table *table, struct pr_table *ret)
{
	*ret = *table;
	ret->registrations = table->n ? xmemdup(table->registrations, table->n * sizeof(*table->registrations)) : NULL;
	ret->cap = table->n;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* LIO tells registrations apart by node ACL, ISID, target port and LUN. */
int pr_path_compare(const struct pr_registration *a, const struct pr_registration *b)
{
	int order = strcmp(a->initiator, b->initiator);

	if (order == 0)
		order = strcmp(a->isid, b->isid);
	if (order == 0)
		order = strcmp(a->target, b->target);
	if (order == 0)
		order = compare_numbers(a->tpgt, b->tpgt);
	if (order == 0)
		order = compare_numbers(a->target_lun, b->target_lun);
	if (order == 0)
		order = compare_numbers(a->mapped_lun, b->mapped_lun);
	if (order == 0)
		order = strcmp(a->fabric, b->fabric);
	return order == 0 ? strcmp(a->target_fabric, b->target_fabric) : order;
}

bool pr_same_path(const struct pr_registration *a, const struct pr_registration *b)
{
	return pr_path_compare(a, b) == 0;
}

static int compare_void(const void *a, const void *b)
{
	return pr_path_compare(a, b);
}

void pr_table_sort(struct pr_table *table)
{
	if (table->n > 1)
		qsort(table->registrations, table->n, sizeof(*table->registrations), compare_void);
}

struct pr_registration *pr_table_find(const struct pr_table *table, const struct pr_registration *path)
{
	return table->n ? bsearch(path, table->registrations, table->n, sizeof(*path), compare_void) : NULL;
}

struct pr_registration *pr_table_add(struct pr_table *table)
{
	return array_push(table->registrations, table->n, table->cap);
}

void pr_table_remove(struct pr_table *table, struct pr_registration *registration)
{
	size_t at = (size_t)(registration - table->registrations);

	memmove(registration, registration + 1, (table->n - at - 1) * sizeof(*registration));
	table->n--;
}

const struct pr_registration *pr_table_holder(const struct pr_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		if (table->registrations[i].holder)
			return &table->registrations[i];
	}
	return NULL;
}

bool pr_table_holds_through(const struct pr_table *table, uint32_t nodeid)
{
	bool all = table->type == PR_TYPE_WRITE_EXCLUSIVE_ALL || table->type == PR_TYPE_EXCLUSIVE_ACCESS_ALL;

	for (size_t i = 0; table->type && i < table->n; i++) {
		const struct pr_registration *r = &table->registrations[i];

		if ((all || r->holder) && r->tpgt == nodeid)
			return true;
	}
	return false;
}

static bool same_reservation(const struct pr_table *a, const struct pr_table *b)
{
	const struct pr_registration *x = pr_table_holder(a), *y = pr_table_holder(b);

	return a->type == b->type && (x ? y && pr_same_path(x, y) : !y);
}

bool pr_table_equal(const struct pr_table *a, const struct pr_table *b)
{
	if (a->n != b->n || !same_reservation(a, b))
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct pr_registration *x = &a->registrations[i], *y = &b->registrations[i];

		if (!pr_same_path(x, y) || x->key != y->key || x->all_tg_pt != y->all_tg_pt)
			return false;
	}
	return true;
}

const char *pr_type_name(enum pr_type type)
{
	switch (type) {
	case PR_TYPE_NONE:
		return "none";
	case PR_TYPE_WRITE_EXCLUSIVE:
		return "write exclusive";
	case PR_TYPE_EXCLUSIVE_ACCESS:
		return "exclusive access";
	case PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS:
		return "write exclusive, registrants only";
	case PR_TYPE_EXCLUSIVE_ACCESS_REGISTRANTS:
		return "exclusive access, registrants only";
	case PR_TYPE_WRITE_EXCLUSIVE_ALL:
		return "write exclusive, all registrants";
	case PR_TYPE_EXCLUSIVE_ACCESS_ALL:
		return "exclusive access, all registrants";
	}
	return "?";
}

struct pr_change pr_table_compare(const struct pr_table *before, const struct pr_table *after)
{
	struct pr_change change = { .reservation = !same_reservation(before, after) };

	for (size_t i = 0; i < after->n; i++) {
		const struct pr_registration *now = &after->registrations[i], *was = pr_table_find(before, now);

		change.n_added += !was;
		change.n_rekeyed += was && was->key != now->key;
	}
	for (size_t i = 0; i < before->n; i++)
		change.n_removed += !pr_table_find(after, &before->registrations[i]);
	return change;
}

static void describe(const char *what, const struct pr_registration *r, struct strbuf *out)
{
	strbuf_addf(out, "%s %s%s%s to port %u of %s, key 0x%" PRIx64 "\n", what, r->initiator, r->isid[0] ? " isid " : "", r->isid,
		    r->tpgt, r->target, r->key);
}

void pr_table_describe(const struct pr_table *before, const struct pr_table *after, struct strbuf *out)
{
	const struct pr_registration *holder = pr_table_holder(after);

	for (size_t i = 0; i < before->n; i++) {
		if (!pr_table_find(after, &before->registrations[i]))
			describe("unregistered", &before->registrations[i], out);
	}
	for (size_t i = 0; i < after->n; i++) {
		const struct pr_registration *now = &after->registrations[i], *was = pr_table_find(before, now);

		if (!was || was->key != now->key)
			describe(was ? "changed key of" : "registered", now, out);
	}
	if (same_reservation(before, after))
		return;
	if (holder)
		strbuf_addf(out, "reserved (%s) by %s%s%s to port %u of %s, key 0x%" PRIx64 "\n", pr_type_name(after->type),
			    holder->initiator, holder->isid[0] ? " isid " : "", holder->isid, holder->tpgt, holder->target, holder->key);
	else
		strbuf_addf(out, "released (%s)\n", pr_type_name(before->type));
}
