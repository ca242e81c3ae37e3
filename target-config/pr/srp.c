// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SRP ports at the border between the cluster's table and a kernel's words. ib_srpt knows its own ports by the tag 1, and others' not at all: there
 * a registration is one of the portal group that stands in for the port. The table has "srpt", the port, and its node as tag.
 */
#include <stdio.h>
#include <string.h>

#include "target-config/pr/internal.h"

static const char srpt[] = "srpt", iscsi[] = "iSCSI";

static bool is_srp(const struct pr_registration *r)
{
	return strcmp(r->target_fabric, srpt) == 0;
}

static void set_port(struct pr_registration *r, const char *fabric, const char *target, uint16_t tpgt)
{
	snprintf(r->fabric, sizeof(r->fabric), "%s", fabric);
	snprintf(r->target_fabric, sizeof(r->target_fabric), "%s", fabric);
	snprintf(r->target, sizeof(r->target), "%s", target);
	r->tpgt = tpgt;
}

void pr_table_from_kernel(struct pr_table *table, const struct pr_srp_port *ports, size_t n)
{
	for (size_t i = 0; i < table->n; i++) {
		struct pr_registration *r = &table->registrations[i];

		for (size_t p = 0; p < n; p++) {
			if (strcmp(r->target, is_srp(r) ? ports[p].wwn : ports[p].standin) == 0)
				set_port(r, srpt, ports[p].wwn, ports[p].nodeid);
		}
	}
	pr_table_sort(table);
}

void pr_table_to_kernel(struct pr_table *table, const struct pr_srp_port *ports, size_t n)
{
	for (size_t i = 0; i < table->n; i++) {
		struct pr_registration *r = &table->registrations[i];

		for (size_t p = 0; p < n; p++) {
			if (!is_srp(r) || strcmp(r->target, ports[p].wwn) != 0)
				continue;
			if (ports[p].is_here)
				set_port(r, srpt, ports[p].wwn, 1);
			else
				set_port(r, iscsi, ports[p].standin, ports[p].nodeid);
		}
	}
	pr_table_sort(table);
}

static void hand_on(struct pr_registration *from, struct pr_registration *to)
{
	from->holder = false;
	to->holder = true;
}

static struct pr_registration *holder_of(struct pr_table *table)
{
	const struct pr_registration *holder = pr_table_holder(table);

	return holder ? &table->registrations[holder - table->registrations] : NULL;
}

static bool is_same_host(const struct pr_registration *a, const struct pr_registration *b)
{
	return is_srp(a) && is_srp(b) && strcmp(a->initiator, b->initiator) == 0;
}

void pr_table_seen_from(struct pr_table *table, uint32_t nodeid)
{
	struct pr_registration *holder = holder_of(table);

	for (size_t i = 0; holder && holder->tpgt != nodeid && i < table->n; i++) {
		struct pr_registration *r = &table->registrations[i];

		if (r->tpgt == nodeid && is_same_host(holder, r)) {
			hand_on(holder, r);
			return;
		}
	}
}

void pr_table_seen_by_all(struct pr_table *table)
{
	struct pr_registration *holder = holder_of(table);

	for (size_t i = 0; holder && holder->unloaded && i < table->n; i++) {
		struct pr_registration *r = &table->registrations[i];

		if (!r->unloaded && is_same_host(holder, r)) {
			hand_on(holder, r);
			return;
		}
	}
}
