// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/node_watchdog.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "ha/watchdog/watchdog.h"

static void say(struct agent *agent, int timeout_s)
{
	agent_step(agent, &(struct ha_event){ .type = HA_EV_WATCHDOG, .version = (uint64_t)timeout_s * 1000,
					      .yes = agent->watchdog != NULL });
}

/* What the kernel has from a life before counts as served until this one has looked. */
static bool serves_nothing(const struct agent *agent)
{
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	if (!agent->config)
		return !view.config_version;
	for (size_t i = 0; i < agent->n_groups; i++) {
		const struct agroup *group = agent->groups[i];

		if (group->has_copy && (!group->inspected || group->serving || group->holding || group->job))
			return false;
	}
	return !agent->tree.running && agent->tree.applied_version && !agent->tree.n_scope;
}

static void trouble(struct agent *agent, const char *text)
{
	if (strcmp(agent->watchdog_error, text) == 0) /* said once, tried again and again */
		return;
	snprintf(agent->watchdog_error, sizeof(agent->watchdog_error), "%s", text);
	if (text[0])
		log_err("watchdog: %s", text);
	info_touch(agent);
}

/* When it was opened too late, whoever was to wait for it may have waited: it counts for nothing until it is opened again. */
static void open_it(struct agent *agent, int64_t deadline_ms)
{
	const struct settings *settings = &agent->settings;
	struct watchdog *watchdog;
	struct err err = ERR_INIT;
	bool may_disarm = serves_nothing(agent);

	if (watchdog_open(settings->watchdog_device, settings->watchdog_timeout_s, may_disarm, &watchdog, &err) < 0) {
		trouble(agent, err.text);
		return;
	}
	if (clock_now_ms() > deadline_ms) {
		watchdog_close(watchdog, may_disarm);
		return;
	}
	agent->watchdog = watchdog;
	trouble(agent, "");
	log_notice("watchdog: %s is armed, %d s", settings->watchdog_device, settings->watchdog_timeout_s);
	say(agent, settings->watchdog_timeout_s);
}

/* From now on the others are not to rely on it. */
static void give_up(struct agent *agent)
{
	trouble(agent, "cannot be petted: nobody relies on it any more; mend it, and restart lunwardd");
	watchdog_close(agent->watchdog, false);
	agent->watchdog = NULL;
	agent->watchdog_failed = true;
	say(agent, 0);
}

void node_watchdog_lease(struct agent *agent, int64_t deadline_ms)
{
	if (!agent->settings.watchdog_device || agent->watchdog_failed || clock_now_ms() > deadline_ms)
		return;
	/* Nothing between that look at the clock and these. */
	if (!agent->watchdog)
		open_it(agent, deadline_ms);
	else if (watchdog_pet(agent->watchdog) < 0)
		give_up(agent);
}

void node_watchdog_start(struct agent *agent)
{
	say(agent, agent->settings.watchdog_device ? agent->settings.watchdog_timeout_s : 0);
}

void node_watchdog_stop(struct agent *agent)
{
	bool disarm;

	if (!agent->watchdog)
		return;
	disarm = serves_nothing(agent);
	if (!disarm)
		log_warning("watchdog: this node serves something: it is reset if no agent is there within %d s",
			    agent->settings.watchdog_timeout_s);
	watchdog_close(agent->watchdog, disarm);
	agent->watchdog = NULL;
}
