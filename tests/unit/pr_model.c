// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/pr_model.h"

static bool all_registrants(unsigned int type)
{
	return type == 7 || type == 8;
}

static bool registrants_only(unsigned int type)
{
	return type == 5 || type == 6;
}

bool model_is_holder(const struct model *model, unsigned int nexus)
{
	if (!model->type || !model->keys[nexus])
		return false;
	return all_registrants(model->type) || model->holder == nexus;
}

bool model_access(const struct model *model, unsigned int nexus, bool write)
{
	bool write_exclusive = model->type == 1 || model->type == 5 || model->type == 7;

	if (!model->type || model_is_holder(model, nexus))
		return true;
	if (write_exclusive && !write)
		return true;
	return registrants_only(model->type) && model->keys[nexus];
}

/* 5.13.11.2.3: what becomes of the reservation when its holder is no longer registered. */
static void holder_left(struct model *model)
{
	if (all_registrants(model->type)) {
		for (unsigned int i = 0; i < MODEL_NEXUSES; i++) {
			if (model->keys[i]) {
				model->holder = i;
				return;
			}
		}
	}
	model->type = 0;
}

static void unregister(struct model *model, unsigned int nexus)
{
	model->keys[nexus] = 0;
	if (model->type && model->holder == nexus)
		holder_left(model);
}

static enum model_status do_register(struct model *model, const struct model_command *c)
{
	if (c->action == MODEL_REGISTER && c->key != model->keys[c->nexus])
		return MODEL_CONFLICT;
	if (c->sa_key)
		model->keys[c->nexus] = c->sa_key;
	else if (model->keys[c->nexus])
		unregister(model, c->nexus);
	return MODEL_GOOD;
}

static enum model_status do_reserve(struct model *model, const struct model_command *c)
{
	if (model->type)
		return model_is_holder(model, c->nexus) && model->type == c->type ? MODEL_GOOD : MODEL_CONFLICT;
	model->type = c->type;
	model->holder = c->nexus;
	return MODEL_GOOD;
}

static enum model_status do_release(struct model *model, const struct model_command *c)
{
	if (!model_is_holder(model, c->nexus))
		return MODEL_GOOD;
	if (model->type != c->type)
		return MODEL_CHECK;
	model->type = 0;
	return MODEL_GOOD;
}

static void do_clear(struct model *model)
{
	for (unsigned int i = 0; i < MODEL_NEXUSES; i++)
		model->keys[i] = 0;
	model->type = 0;
}

static unsigned int remove_key(struct model *model, uint64_t key, unsigned int but)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MODEL_NEXUSES; i++) {
		if (i != but && model->keys[i] && (!key || model->keys[i] == key)) {
			model->keys[i] = 0;
			n++;
		}
	}
	return n;
}

/* Table 51 (5.13.11.2.6). */
static enum model_status do_preempt(struct model *model, const struct model_command *c)
{
	if (all_registrants(model->type) && !c->sa_key) {
		remove_key(model, 0, c->nexus);
		model->type = c->type;
		model->holder = c->nexus;
		return MODEL_GOOD;
	}
	if (!c->sa_key)
		return MODEL_CHECK;
	if (model->type && !all_registrants(model->type) && model->keys[model->holder] == c->sa_key) {
		remove_key(model, c->sa_key, c->nexus);
		model->type = c->type;
		model->holder = c->nexus;
		return MODEL_GOOD;
	}
	if (!remove_key(model, c->sa_key, c->nexus))
		return MODEL_CONFLICT;
	if (model->type && !model->keys[model->holder])
		holder_left(model);
	return MODEL_GOOD;
}

enum model_status model_prout(struct model *model, const struct model_command *c)
{
	if (c->action == MODEL_REGISTER || c->action == MODEL_REGISTER_IGNORE)
		return do_register(model, c);
	if (!model->keys[c->nexus] || model->keys[c->nexus] != c->key)
		return MODEL_CONFLICT;
	switch ((int)c->action) {
	case MODEL_RESERVE:
		return do_reserve(model, c);
	case MODEL_RELEASE:
		return do_release(model, c);
	case MODEL_CLEAR:
		do_clear(model);
		return MODEL_GOOD;
	default:
		return do_preempt(model, c);
	}
}
