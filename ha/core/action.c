// SPDX-License-Identifier: GPL-2.0-or-later
/* What the machine wants done: a queue that owns its bytes until the next step, and the one timer. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/internal.h"

struct action *action_add(struct ha_core *core, enum ha_action_type type)
{
	struct action *action = array_push(core->actions, core->n_actions, core->cap_actions);

	action->a.type = type;
	return action;
}

void action_group(struct ha_core *core, enum ha_action_type type, const char *group, uint64_t epoch, bool yes)
{
	struct action *action = action_add(core, type);

	snprintf(action->group, sizeof(action->group), "%s", group);
	action->a.epoch = epoch;
	action->a.yes = yes;
}

void action_note(struct ha_core *core, bool warning, const char *fmt, ...)
{
	struct action *action = action_add(core, HA_ACT_NOTE);
	va_list ap;

	action->a.yes = warning;
	va_start(ap, fmt);
	vsnprintf(action->text, sizeof(action->text), fmt, ap);
	va_end(ap);
}

void actions_forget(struct ha_core *core)
{
	for (size_t i = 0; i < core->n_actions; i++)
		bytes_out_done(&core->actions[i].data);
	core->n_actions = core->next_action = 0;
}

bool ha_core_next_action(struct ha_core *core, struct ha_action *ret_action)
{
	struct action *action;

	if (core->next_action == core->n_actions)
		return false;
	action = &core->actions[core->next_action++];
	*ret_action = action->a;
	ret_action->group = action->group[0] ? action->group : NULL;
	ret_action->text = action->text;
	ret_action->data = action->data.data;
	ret_action->size = action->data.size;
	return true;
}

void core_send(struct ha_core *core, const struct ha_msg *msg)
{
	ha_msg_encode(msg, &action_add(core, HA_ACT_SEND)->data);
}

void core_send_bytes(struct ha_core *core, const struct bytes_out *bytes)
{
	struct action *action = action_add(core, HA_ACT_SEND);

	action->data = (struct bytes_out){ .data = xmemdup(bytes->data, bytes->size), .size = bytes->size,
					   .cap = bytes->size };
}

void ha_core_send_info(struct ha_core *core, const void *data, size_t size)
{
	if (core->connected && size <= HA_INFO_SIZE_MAX)
		core_send(core, &(struct ha_msg){ .type = HA_MSG_INFO, .data = data, .size = size });
}

void core_wake(struct ha_core *core, int64_t at_ms)
{
	core->wake_ms = MIN(core->wake_ms, at_ms);
}

bool core_is_due(struct ha_core *core, int64_t *last_ms, int64_t every_ms)
{
	if (*last_ms && core->now_ms < *last_ms + every_ms) {
		core_wake(core, *last_ms + every_ms);
		return false;
	}
	/* 0 means never; the clock may begin at 0. */
	*last_ms = core->now_ms ? core->now_ms : 1;
	core_wake(core, *last_ms + every_ms);
	return true;
}
