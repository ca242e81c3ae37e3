// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/pool_rules.h"

#include <stdbool.h>

static bool is_at(enum pool_state state, enum pool_state before, double percent, unsigned int threshold)
{
	return percent >= threshold - (before >= state ? POOL_CALM_PERCENT : 0.0);
}

enum pool_state pool_rules_state(enum pool_state before, double percent, unsigned int warn_percent, unsigned int error_percent)
{
	if (is_at(POOL_ERROR, before, percent, error_percent))
		return POOL_ERROR;
	return is_at(POOL_WARNING, before, percent, warn_percent) ? POOL_WARNING : POOL_GOOD;
}

const char *pool_state_name(enum pool_state state)
{
	static const char *const names[] = { "good", "warning", "error" };

	return names[state];
}
