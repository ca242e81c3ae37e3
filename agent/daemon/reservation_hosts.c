// SPDX-License-Identifier: GPL-2.0-or-later
/* Which connections the hosts of a volume come on, known to any thread: cutting them must work also while the loop does not. */
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/reservations_internal.h"
#include "base/xalloc.h"
#include "target-config/portal/cut.h"

struct end {
	char *address; /* or the GID, WWPN */
	uint16_t port;
	enum config_fabric_id fabric;
};

struct way { /* on which the hosts of a volume come */
	char *serial, *volume;
	struct end *ends;
	size_t n_ends, cap_ends;
};

static void free_ways(struct reservations *r)
{
	for (size_t i = 0; i < r->n_ways; i++) {
		struct way *way = &r->ways[i];

		for (size_t k = 0; k < way->n_ends; k++)
			free(way->ends[k].address);
		free(way->ends);
		free(way->serial);
		free(way->volume);
	}
	r->n_ways = 0;
}

static void add_ends(struct way *way, const struct config_target *target)
{
	for (size_t i = 0; i < target->n_portals; i++) {
		struct end *end = array_push(way->ends, way->n_ends, way->cap_ends);

		end->address = xstrdup(target->portals[i].address);
		end->port = target->portals[i].port;
		end->fabric = config_target_fabric(target);
	}
}

/* All portals of a volume's targets: those that are not here now have no connections here. */
void hosts_publish(struct reservations *r)
{
	const struct config *config = r->agent->config->config;

	pthread_mutex_lock(&r->lock);
	free_ways(r);
	for (size_t i = 0; i < config->n_volumes; i++) {
		struct way *way = array_push(r->ways, r->n_ways, r->cap_ways);

		way->serial = xstrdup(config->volumes[i].serial);
		way->volume = xstrdup(config->volumes[i].name);
		for (size_t k = 0; k < config->n_mappings; k++) {
			if (config->mappings[k].volume == &config->volumes[i])
				add_ends(way, config->mappings[k].target);
		}
	}
	pthread_mutex_unlock(&r->lock);
}

/* The connections of a port cannot be told apart, or cut one by one: all of it goes. The tree puts it back: tree_ports_cut(). */
static int cut_end(const struct reservations *r, const struct end *end, struct err *err)
{
	const struct lio_roots roots = { .configfs = r->agent->settings.configfs };

	return end->fabric == CONFIG_FABRIC_ISCSI ? portal_cut(end->address, end->port, NULL, err) :
						    lio_port_cut(&roots, end->fabric, end->address, err);
}

/* Any thread. No serial: prfs could not tell whose it is, so everybody; a host that hears GOOD is worse than many that connect again. A
 * serial that is in no document is another's, who keeps his reservations in the same folder: none of our hosts. */
int hosts_cut(struct reservations *r, const char *serial, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; rc == 0 && i < r->n_ways; i++) {
		const struct way *way = &r->ways[i];

		for (size_t k = 0; rc == 0 && k < way->n_ends && (!*serial || strcmp(way->serial, serial) == 0); k++)
			rc = cut_end(r, &way->ends[k], err);
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

char *hosts_volume(struct reservations *r, const char *serial)
{
	char *name = NULL;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_ways && !name; i++)
		name = strcmp(r->ways[i].serial, serial) == 0 ? xstrdup(r->ways[i].volume) : NULL;
	pthread_mutex_unlock(&r->lock);
	return name;
}
