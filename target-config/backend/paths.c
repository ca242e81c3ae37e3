// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/backend/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static const char *root_dir = "";

void backend_set_root(const char *root)
{
	root_dir = root;
}

char *backend_path(const char *path)
{
	return xasprintf("%s%s", root_dir, path);
}

char *backend_lv_name(const struct config_volume *volume)
{
	return xasprintf("lunward-%s", volume->name);
}

char *backend_resource_name(const struct config_group *group)
{
	return xasprintf("lunward-%s", group->name);
}

void backend_device(const struct config_volume *volume, char ret_path[BACKEND_PATH_SIZE])
{
	switch (volume->group->backend) {
	case CONFIG_BACKEND_DRBD:
		snprintf(ret_path, BACKEND_PATH_SIZE, "/dev/drbd%u", volume->drbd_minor);
		break;
	case CONFIG_BACKEND_LOCAL:
		snprintf(ret_path, BACKEND_PATH_SIZE, "/dev/%s/lunward-%s", volume->pool->vg, volume->name);
		break;
	case CONFIG_BACKEND_SHARED:
		snprintf(ret_path, BACKEND_PATH_SIZE, "%s", volume->device);
		break;
	}
}

static int by_number(const void *a, const void *b)
{
	const struct config_volume *x = *(const struct config_volume *const *)a;
	const struct config_volume *y = *(const struct config_volume *const *)b;

	if (x->drbd_volume != y->drbd_volume)
		return x->drbd_volume < y->drbd_volume ? -1 : 1;
	return strcmp(x->name, y->name);
}

size_t backend_volumes(const struct config *config, const struct config_group *group, const struct config_volume ***ret)
{
	const struct config_volume **volumes = xcalloc(config->n_volumes, sizeof(const struct config_volume *));
	size_t n = 0;

	for (const struct config_volume *volume = group->volumes; volume; volume = volume->next)
		volumes[n++] = volume;
	qsort(volumes, n, sizeof(const struct config_volume *), by_number);
	*ret = volumes;
	return n;
}
