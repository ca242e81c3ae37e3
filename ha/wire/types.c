// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of the enums in types.h, for operators. */
#include "ha/wire/types.h"

#include <stddef.h>

#include "base/compiler.h"

const char *ha_phase_name(enum ha_phase phase)
{
	static const char *const names[] = {
#define X(id, name) [HA_PHASE_##id] = name,
		HA_PHASES(X)
#undef X
	};

	return (size_t)phase < ARRAY_SIZE(names) ? names[phase] : "?";
}

const char *ha_node_state_name(enum ha_node_state state)
{
	static const char *const names[] = {
#define X(id, name) [HA_NODE_##id] = name,
		HA_NODE_STATES(X)
#undef X
	};

	return (size_t)state < ARRAY_SIZE(names) ? names[state] : "?";
}

const char *ha_maintenance_name(enum ha_maintenance maintenance)
{
	static const char *const names[] = {
#define X(id, name) [HA_MAINTENANCE_##id] = name,
		HA_MAINTENANCES(X)
#undef X
	};

	return (size_t)maintenance < ARRAY_SIZE(names) ? names[maintenance] : "?";
}

const char *ha_evidence_name(enum ha_evidence evidence)
{
	static const char *const names[] = {
#define X(id, name) [HA_EVIDENCE_##id] = name,
		HA_EVIDENCES(X)
#undef X
	};

	return (size_t)evidence < ARRAY_SIZE(names) ? names[evidence] : "?";
}
