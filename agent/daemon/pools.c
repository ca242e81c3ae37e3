// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/pools.h"

#include <stdlib.h>
#include <string.h>

#include "agent/daemon/pool_rules.h"
#include "agent/daemon/work.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "target-config/backend/lvm.h"

#define EVERY_MS 60000
#define LATE_MS 150000 /* LVM's own deadline is 60 s */

struct pool {
	char *name, *lv; /* lv: <vg>/<thin pool> */
	bool seen;
	enum pool_state data, metadata;
	struct lvm_thin_pool now;
	char error[ERR_TEXT_SIZE]; /* why nothing is known; "" */
};

struct pools {
	struct pool *list; /* in the order of the document */
	size_t n, cap;
	uint64_t version; /* of the document that it is of */
	bool looking;
	int64_t next_ms;
};

/* --- which there are here ----------------------------------------------------------------------------------------------*/

static bool is_used_here(const struct agent *agent, const struct config_pool *pool)
{
	const struct config *config = agent->config->config;

	for (size_t i = 0; i < config->n_volumes; i++) {
		if (config->volumes[i].pool == pool && config_group_has_node(config->volumes[i].group, agent_me(agent)))
			return true;
	}
	return false;
}

static void free_list(struct pool *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].name);
		free(list[i].lv);
	}
	free(list);
}

static struct pool *find(const struct pools *pools, const char *name)
{
	for (size_t i = 0; i < pools->n; i++) {
		if (strcmp(pools->list[i].name, name) == 0)
			return &pools->list[i];
	}
	return NULL;
}

/* What is known of a pool stays. */
static void take_document(struct agent *agent)
{
	const struct config *config = agent->config->config;
	struct pools *pools = agent->pools, old = *pools;

	*pools = (struct pools){ .version = agent->config->version, .looking = old.looking };
	for (size_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *spec = &config->pools[i];
		const struct pool *known = find(&old, spec->name);
		struct pool *pool;
		char *lv;

		if (!spec->thin_pool || !is_used_here(agent, spec))
			continue;
		lv = xasprintf("%s/%s", spec->vg, spec->thin_pool);
		pool = array_push(pools->list, pools->n, pools->cap);
		*pool = known && strcmp(known->lv, lv) == 0 ? *known : (struct pool){ 0 };
		pool->name = xstrdup(spec->name);
		pool->lv = lv;
	}
	if (old.n || pools->n)
		info_touch(agent);
	free_list(old.list, old.n);
}

/* --- looking, in a worker ----------------------------------------------------------------------------------------------*/

struct pool_view {
	const struct config_pool *spec; /* of the look's document */
	struct lvm_thin_pool now;
	int rc;
	struct err err;
};

struct look {
	struct config_ref *ref;
	struct pool_view *views;
	size_t n;
};

static int run_look(void *ctx, struct err *err)
{
	struct look *look = ctx;

	(void)err;
	for (size_t i = 0; i < look->n; i++) {
		struct pool_view *view = &look->views[i];

		view->rc = lvm_thin_pool_load(view->spec->vg, view->spec->thin_pool, &view->now, &view->err);
	}
	return 0;
}

/* --- what comes of it --------------------------------------------------------------------------------------------------*/

static bool is_as_before(const struct pool *pool, const struct pool *before)
{
	return pool->data == before->data && pool->metadata == before->metadata && strcmp(pool->now.health, before->now.health) == 0;
}

static void say_change(const struct pool *pool, const struct pool *before)
{
	const struct lvm_thin_pool *now = &pool->now;
	bool is_well = pool->data == POOL_GOOD && pool->metadata == POOL_GOOD && !now->health[0];

	if (pool->error[0] && strcmp(pool->error, before->error) != 0)
		log_warning("pool %s: %s", pool->name, pool->error);
	if (!is_as_before(pool, before))
		log_write(is_well ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
			  "pool %s: thin pool %s: %.2f %% of the data and %.2f %% of the metadata in use%s%s", pool->name, pool->lv,
			  now->data_percent, now->metadata_percent, now->health[0] ? ", " : "", now->health);
}

/* A look that failed says nothing about the pool. */
static void note_view(struct pool *pool, const struct pool_view *view)
{
	const struct config_pool *spec = view->spec;
	const struct pool before = *pool;

	snprintf(pool->error, sizeof(pool->error), "%s", view->rc < 0 ? view->err.text : "");
	pool->seen = view->rc == 0;
	if (pool->seen) {
		pool->now = view->now;
		pool->data = pool_rules_state(pool->data, view->now.data_percent, spec->warn_percent, spec->error_percent);
		pool->metadata = pool_rules_state(pool->metadata, view->now.metadata_percent, spec->warn_percent, spec->error_percent);
	}
	say_change(pool, &before);
}

static void looked(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct pools *pools = agent->pools;
	struct look *look = ctx;
	json_t *before = pools_json(agent), *after;

	pools->looking = false;
	if (look->ref->version == pools->version)
		pools->next_ms = clock_now_ms() + EVERY_MS;
	if (result < 0) /* no thread */
		log_warning("%s", err->text);
	for (size_t i = 0; result == 0 && look->ref->version == pools->version && i < look->n; i++)
		note_view(&pools->list[i], &look->views[i]);
	after = pools_json(agent);
	if (!json_equal(before, after))
		info_touch(agent);
	json_decref(before);
	json_decref(after);
	config_ref_put(look->ref);
	free(look->views);
	free(look);
}

static void start_look(struct agent *agent, int64_t now_ms)
{
	struct pools *pools = agent->pools;
	struct look *look = xcalloc(1, sizeof(*look));

	look->ref = config_ref_get(agent->config);
	look->n = pools->n;
	look->views = xcalloc(pools->n, sizeof(*look->views));
	for (size_t i = 0; i < pools->n; i++)
		look->views[i].spec = config_pool_by_name(look->ref->config, pools->list[i].name);
	pools->looking = true;
	work_start(agent->loop, "looking at thin pools", now_ms + LATE_MS, run_look, look, looked, NULL, agent);
}

void pools_kick(struct agent *agent)
{
	int64_t now_ms = clock_now_ms();

	if (!agent->config)
		return;
	if (!agent->pools)
		agent->pools = xcalloc(1, sizeof(*agent->pools));
	if (agent->pools->version != agent->config->version)
		take_document(agent);
	if (!agent->pools->n || agent->pools->looking)
		return;
	if (now_ms >= agent->pools->next_ms)
		start_look(agent, now_ms);
	else
		agent_turn_by(agent, agent->pools->next_ms);
}

static json_t *list_json(const struct agent *agent, bool figures)
{
	json_t *array = json_array();

	for (size_t i = 0; agent->pools && i < agent->pools->n; i++) {
		const struct pool *pool = &agent->pools->list[i];
		json_t *item;

		if (!pool->seen && !pool->error[0])
			continue;
		item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "pool", pool->name, "thin_pool", pool->lv, "data",
				 pool->seen ? pool_state_name(pool->data) : "unknown", "metadata",
				 pool->seen ? pool_state_name(pool->metadata) : "unknown", "health", pool->seen ? pool->now.health : "", "error", pool->error);
		if (figures && pool->seen) {
			json_object_set_new(item, "data_percent", json_real(pool->now.data_percent));
			json_object_set_new(item, "metadata_percent", json_real(pool->now.metadata_percent));
		}
		json_array_append_new(array, item);
	}
	return array;
}

json_t *pools_json(const struct agent *agent)
{
	return list_json(agent, false);
}

json_t *pools_figures_json(const struct agent *agent)
{
	return list_json(agent, true);
}
