// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/exchange/settings.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/lio.h"

static void set(json_t *where, const char *key, const char *name, const char *value, bool is_optional)
{
	json_t *values = json_object_get(where, key);

	if (!values) {
		values = json_object();
		json_object_set_new(where, key, values);
	}
	json_object_set_new(values, name, is_optional ? json_null() : json_string(value));
}

static bool is_in(const char *dir, const char *name)
{
	size_t n = strlen(dir), len = strlen(name);

	return n > len && strcmp(dir + n - len, name) == 0;
}

static void collect(void *ctx, const char *volume, const char *path, const char *value, bool is_optional)
{
	struct settings *settings = ctx;
	_cleanup_free_ char *dir = xstrdup(path);
	char *name = strrchr(dir, '/');

	*name++ = '\0';
	if (volume && is_in(dir, "/attrib"))
		set(settings->volumes, volume, name, value, is_optional);
	else if (!volume && (is_in(dir, "/attrib") || is_in(dir, "/param")))
		set(settings->others, dir, name, value, is_optional);
}

void settings_collect(const struct config *config, uint32_t nodeid, struct settings *ret)
{
	const struct lio_roots roots = { .configfs = "", .dbroot = "" };
	const struct lio_scope scope = { .nodeid = nodeid };
	struct lio_tree *tree = lio_tree_build(config, &scope, &roots);

	*ret = (struct settings){ .volumes = json_object(), .others = json_object() };
	lio_tree_each_attr(tree, collect, ret);
	lio_tree_free(tree);
}

void settings_done(struct settings *settings)
{
	json_decref(settings->volumes);
	json_decref(settings->others);
}
