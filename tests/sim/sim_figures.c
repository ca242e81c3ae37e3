// SPDX-License-Identifier: GPL-2.0-or-later
/* Figures go into one JSON file, each program's beside those of the others. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

static json_t *number(double value)
{
	return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

static void put(json_t *root, const char *name, double value)
{
	const char *dot = strchr(name, '.');
	char section[64];
	json_t *object = root;

	if (dot) {
		snprintf(section, sizeof(section), "%.*s", (int)(dot - name), name);
		object = json_object_get(root, section);
		if (!json_is_object(object)) {
			object = json_object();
			json_object_set_new(root, section, object);
		}
	}
	json_object_set_new(object, dot ? dot + 1 : name, number(value));
}

int figures_put(const char *path, const char *const names[], const double values[], size_t n)
{
	json_t *root = json_load_file(path, 0, NULL);
	int rc;

	if (!json_is_object(root)) {
		json_decref(root);
		root = json_object();
	}
	for (size_t i = 0; i < n; i++)
		put(root, names[i], values[i]);
	rc = json_dump_file(root, path, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(root);
	if (rc < 0)
		fprintf(stderr, "%s: cannot be written\n", path);
	return rc < 0 ? -EIO : 0;
}
