// SPDX-License-Identifier: GPL-2.0-or-later
/* The document's ports of nodes' hardware as reservations name them. */
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/reservations_internal.h"
#include "base/xalloc.h"

struct pr_port *node_ports(const struct config *config, const struct lio_scope *scope, size_t *ret_n)
{
	struct pr_port *ports = NULL;
	size_t cap = 0;

	*ret_n = 0;
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		for (size_t i = 0; !config_target_is_iscsi(target) && i < target->n_portals; i++) {
			const struct config_portal *portal = &target->portals[i];

			*array_push(ports, *ret_n, cap) = (struct pr_port){
				lio_fabric_of_target(target)->dir, lio_port_wwn(target, portal->address),
				lio_port_standin(target, portal->address), (uint16_t)portal->nodeid,
				portal->nodeid == scope->nodeid && lio_has_port(scope, target, portal->address) };
		}
	}
	return ports;
}

void node_ports_free(struct pr_port *ports, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(ports[i].wwn);
		free(ports[i].standin);
	}
	free(ports);
}
