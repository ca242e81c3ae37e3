// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ports of a node's hardware at the border between the cluster's table and a kernel's words. Their drivers know their own ports by the tag 1, and
 * others' not at all: there a registration is one of the portal group that stands in for the port. The table has the fabric, the port, and its node
 * as tag.
 */
#include <stdio.h>
#include <string.h>

#include "target-config/pr/internal.h"

static const char iscsi[] = "iSCSI";

static bool is_iscsi(const char *fabric)
{
	return strcmp(fabric, iscsi) == 0;
}

static bool is_at(const struct pr_registration *r, const struct pr_port *port)
{
	return strcmp(r->target_fabric, port->fabric) == 0 && strcmp(r->target, port->wwn) == 0;
}

static bool is_at_standin(const struct pr_registration *r, const struct pr_port *port)
{
	return is_iscsi(r->target_fabric) && strcmp(r->target, port->standin) == 0;
}

static void set_port(struct pr_registration *r, const char *fabric, const char *target, uint16_t tpgt)
{
	snprintf(r->fabric, sizeof(r->fabric), "%s", fabric);
	snprintf(r->target_fabric, sizeof(r->target_fabric), "%s", fabric);
	snprintf(r->target, sizeof(r->target), "%s", target);
	r->tpgt = tpgt;
}

void pr_table_from_kernel(struct pr_table *table, const struct pr_port *ports, size_t n)
{
	for (size_t i = 0; i < table->n; i++) {
		struct pr_registration *r = &table->registrations[i];

		for (size_t p = 0; p < n; p++) {
			if (is_at(r, &ports[p]) || is_at_standin(r, &ports[p]))
				set_port(r, ports[p].fabric, ports[p].wwn, ports[p].nodeid);
		}
	}
	pr_table_sort(table);
}

void pr_table_to_kernel(struct pr_table *table, const struct pr_port *ports, size_t n)
{
	for (size_t i = 0; i < table->n; i++) {
		struct pr_registration *r = &table->registrations[i];

		for (size_t p = 0; p < n; p++) {
			if (!is_at(r, &ports[p]))
				continue;
			if (ports[p].is_here)
				set_port(r, ports[p].fabric, ports[p].wwn, 1);
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
	return !is_iscsi(a->target_fabric) && !is_iscsi(b->target_fabric) && strcmp(a->initiator, b->initiator) == 0;
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
