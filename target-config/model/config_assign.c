// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Values the operator need not choose: serials, LU group ids, DRBD ports, minors and volume numbers, LUNs inside the target. What a document in force has is
 * kept by name. What is new gets the lowest number that neither document uses, in the order of names.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config_internal.h"

/* --- keeping ---*/

static void keep_groups(struct config *config, const struct config *old)
{
	for (size_t i = 0; i < config->n_groups; i++) {
		struct config_group *group = &config->groups[i];
		const struct config_group *before = config_group_by_name(old, group->name);

		if (!before)
			continue;
		if (!group->lu_gp_id)
			group->lu_gp_id = before->lu_gp_id;
		if (group->backend == CONFIG_BACKEND_DRBD && !group->port)
			group->port = before->port;
	}
}

static void keep_volumes(struct config *config, const struct config *old)
{
	for (size_t i = 0; i < config->n_volumes; i++) {
		struct config_volume *volume = &config->volumes[i];
		const struct config_volume *before = config_volume_by_name(old, volume->name);

		if (!before)
			continue;
		if (!volume->serial)
			volume->serial = xstrdup(before->serial);
		if (before->group->backend != CONFIG_BACKEND_DRBD) {
			if (volume->target_lun == CONFIG_MINOR_UNSET)
				volume->target_lun = before->target_lun;
			continue;
		}
		if (volume->drbd_minor == CONFIG_MINOR_UNSET)
			volume->drbd_minor = before->drbd_minor;
		/* The number counts within the group; a change of group is refused later, with a better text. */
		if (volume->drbd_volume == CONFIG_DRBD_VOLUME_UNSET &&
		    strcmp(volume->group->name, before->group->name) == 0)
			volume->drbd_volume = before->drbd_volume;
	}
}

/* --- the lowest free number ---*/

struct numbers {
	bool *used;
	size_t n, next;
};

static void use_number(struct numbers *numbers, size_t number)
{
	if (number < numbers->n)
		numbers->used[number] = true;
}

/* There are always more numbers than objects: the limits of config.h. */
static size_t take_number(struct numbers *numbers)
{
	while (numbers->used[numbers->next])
		numbers->next++;
	return numbers->next++;
}

static void use_group_ids(struct numbers *numbers, const struct config *config)
{
	for (size_t i = 0; config && i < config->n_groups; i++)
		use_number(numbers, config->groups[i].lu_gp_id);
}

static void assign_group_ids(struct config *config, const struct config *old)
{
	_cleanup_free_ bool *used = xcalloc(UINT16_MAX + 1, sizeof(*used));
	struct numbers numbers = { used, UINT16_MAX + 1, 1 };

	use_group_ids(&numbers, config);
	use_group_ids(&numbers, old);
	for (size_t i = 0; i < config->n_groups; i++)
		if (!config->groups[i].lu_gp_id)
			config->groups[i].lu_gp_id = (uint16_t)take_number(&numbers);
}

static void use_ports(struct numbers *numbers, const struct config *config)
{
	for (size_t i = 0; config && i < config->n_groups; i++)
		use_number(numbers, config->groups[i].port);
	for (size_t i = 0; config && i < config->n_targets; i++)
		for (size_t j = 0; j < config->targets[i].n_portals; j++)
			use_number(numbers, config->targets[i].portals[j].port);
}

static int assign_ports(struct config *config, const struct config *old, struct err *err)
{
	_cleanup_free_ bool *used = xcalloc(UINT16_MAX + 2, sizeof(*used));
	struct numbers numbers = { used, UINT16_MAX + 1, CONFIG_PORT_FIRST };

	use_ports(&numbers, config);
	use_ports(&numbers, old);
	for (size_t i = 0; i < config->n_groups; i++) {
		struct config_group *group = &config->groups[i];
		size_t port;

		if (group->backend != CONFIG_BACKEND_DRBD || group->port)
			continue;
		port = take_number(&numbers); /* used[UINT16_MAX + 1] is never set: the search ends there */
		if (port > UINT16_MAX)
			return config_refuse(err, "groups", group->name, "port",
					     "no free port from %u up to assign; write one", CONFIG_PORT_FIRST);
		group->port = (uint16_t)port;
	}
	return 0;
}

static void use_minors(struct numbers *numbers, const struct config *config)
{
	for (size_t i = 0; config && i < config->n_volumes; i++)
		use_number(numbers, config_volume_lun(&config->volumes[i]));
}

static void assign_minors(struct config *config, const struct config *old)
{
	_cleanup_free_ bool *used = xcalloc(1 << 20, sizeof(*used));
	struct numbers numbers = { used, 1 << 20, CONFIG_MINOR_FIRST };

	use_minors(&numbers, config);
	use_minors(&numbers, old);
	for (size_t i = 0; i < config->n_volumes; i++) {
		struct config_volume *volume = &config->volumes[i];

		if (config_volume_lun(volume) != CONFIG_MINOR_UNSET)
			continue;
		*(volume->group->backend == CONFIG_BACKEND_DRBD ? &volume->drbd_minor : &volume->target_lun) = (uint32_t)take_number(&numbers);
	}
}

/* --- volume numbers: one more than the highest of the group ---*/

static void raise_next_volumes(uint32_t *next, const struct config *config, const struct config *document)
{
	for (size_t i = 0; document && i < document->n_volumes; i++) {
		const struct config_volume *volume = &document->volumes[i];
		const struct config_group *group = config_group_by_name(config, volume->group->name);

		if (group && volume->group->backend == CONFIG_BACKEND_DRBD &&
		    volume->drbd_volume != CONFIG_DRBD_VOLUME_UNSET)
			next[group - config->groups] = MAX(next[group - config->groups], volume->drbd_volume + 1u);
	}
}

static int assign_drbd_volumes(struct config *config, const struct config *old, struct err *err)
{
	_cleanup_free_ uint32_t *next = xcalloc(config->n_groups + 1, sizeof(*next));

	raise_next_volumes(next, config, config);
	raise_next_volumes(next, config, old);
	for (size_t i = 0; i < config->n_volumes; i++) {
		struct config_volume *volume = &config->volumes[i];
		uint32_t *number = &next[volume->group - config->groups];

		if (volume->drbd_volume != CONFIG_DRBD_VOLUME_UNSET)
			continue;
		if (*number >= CONFIG_DRBD_VOLUME_UNSET)
			return config_refuse(err, "volumes", volume->name, "drbd_volume",
					     "the highest number of group %s is taken; write a free one",
					     volume->group->name);
		volume->drbd_volume = (uint16_t)(*number)++;
	}
	return 0;
}

/* --- serials ---*/

static char *make_uuid(void (*random_bytes)(void *, size_t)) /* RFC 9562, version 4 */
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
			 b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static int assign_serials(struct config *config, void (*random_bytes)(void *, size_t), struct err *err)
{
	for (size_t i = 0; i < config->n_volumes; i++) {
		struct config_volume *volume = &config->volumes[i];

		if (volume->serial)
			continue;
		if (!random_bytes)
			return config_refuse(err, "volumes", volume->name, "serial", "missing in a finished document");
		volume->serial = make_uuid(random_bytes);
	}
	return 0;
}

int config_assign(struct config *config, const struct config *old, void (*random_bytes)(void *, size_t),
		  struct err *err)
{
	int rc;

	if (old) {
		keep_groups(config, old);
		keep_volumes(config, old);
	}
	assign_group_ids(config, old);
	rc = assign_ports(config, old, err);
	if (rc < 0)
		return rc;
	assign_minors(config, old);
	rc = assign_drbd_volumes(config, old, err);
	if (rc < 0)
		return rc;
	return assign_serials(config, random_bytes, err);
}
