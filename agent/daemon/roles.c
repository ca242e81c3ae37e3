// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/roles.h"

static bool is_served_here(const struct roles_input *in, uint32_t node)
{
	for (size_t i = 0; i < in->n_served; i++) {
		if (in->served[i] == node)
			return true;
	}
	return false;
}

static bool may_serve(const struct roles_input *in)
{
	return in->serving && in->owner == in->me &&
	       (in->phase == HA_PHASE_OWNED || in->phase == HA_PHASE_ACQUIRING || in->phase == HA_PHASE_RELEASING);
}

bool roles_may_hold(const struct roles_input *in)
{
	return in->holding && in->quorate && !in->owner_lost &&
	       (in->phase == HA_PHASE_RELEASING || in->phase == HA_PHASE_ACQUIRING);
}

enum lio_alua_state roles_refusing_state(const struct roles_input *in)
{
	bool others = in->owner && in->owner != in->me && !in->owner_lost;

	return in->leaving && in->quorate && others ? LIO_ALUA_UNAVAILABLE : LIO_ALUA_TRANSITIONING;
}

enum lio_alua_state roles_port_state(const struct roles_input *in, uint32_t node)
{
	if (!in->quorate)
		return LIO_ALUA_TRANSITIONING;
	if (may_serve(in)) {
		if (node == in->me)
			return LIO_ALUA_ACTIVE_OPTIMIZED;
		return is_served_here(in, node) ? LIO_ALUA_ACTIVE_NONOPTIMIZED : LIO_ALUA_STANDBY;
	}
	if (in->phase == HA_PHASE_FREE)
		return LIO_ALUA_STANDBY;
	if (roles_may_hold(in))
		return node == in->me ? LIO_ALUA_ACTIVE_NONOPTIMIZED : LIO_ALUA_STANDBY;
	if ((in->phase != HA_PHASE_OWNED && in->phase != HA_PHASE_RELEASING) || in->owner_lost || in->owner == in->me)
		return roles_refusing_state(in);
	if (node == in->owner && !is_served_here(in, node))
		return LIO_ALUA_ACTIVE_OPTIMIZED;
	return LIO_ALUA_STANDBY;
}
