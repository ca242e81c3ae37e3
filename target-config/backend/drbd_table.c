// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `drbdsetup events2` as a table. A line is VERB OBJECT key:value...; drbdsetup leaves out what has not changed. In DRBD 8.4 a
 * resource has one connection, hence the peer's states live in the resource (role, connection) and in the volume.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/backend/backend.h"

#define NAME_SIZE sizeof(((struct drbd_volume_state *)0)->resource)
#define LINE_MAX_SIZE 4096
#define FIELDS_MAX 32
#define RESOURCES_MAX 8192
#define VOLUMES_MAX (1u << 17)

struct resource {
	char name[NAME_SIZE];
	char role[16], peer_role[16], connection[20], suspended[32]; /* "" until told */
};

struct volume {
	struct drbd_volume_state state; /* composed for the reader */
	char replication[20];
	uint64_t resync_total_kib; /* out of sync when the resync began */
};

struct drbd_table {
	struct resource *resources;
	size_t n_resources, cap_resources;
	struct volume *volumes; /* by minor: readers ask for all of a group's after every event */
	size_t n_volumes, cap_volumes;
	bool complete;
};

struct fields {
	struct {
		const char *key, *value;
	} f[FIELDS_MAX];
	size_t n;
};

struct drbd_table *drbd_table_new(void)
{
	return xcalloc(1, sizeof(struct drbd_table));
}

void drbd_table_free(struct drbd_table *table)
{
	if (!table)
		return;
	free(table->resources);
	free(table->volumes);
	free(table);
}

bool drbd_table_is_complete(const struct drbd_table *table)
{
	return table->complete;
}

static void set_word(char *ret, size_t size, const char *word, const char *otherwise)
{
	snprintf(ret, size, "%s", *word ? word : otherwise);
}

/* Where the volume with this minor is, or where it belongs. */
static size_t place_of(const struct drbd_table *table, uint32_t minor)
{
	size_t low = 0, high = table->n_volumes;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (table->volumes[mid].state.minor < minor)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct volume *volume_by_minor(const struct drbd_table *table, uint32_t minor)
{
	size_t i = place_of(table, minor);

	return i < table->n_volumes && table->volumes[i].state.minor == minor ? &table->volumes[i] : NULL;
}

static struct volume *insert_volume(struct drbd_table *table, uint32_t minor)
{
	size_t i = place_of(table, minor), after = table->n_volumes - i;
	struct volume *volume;

	(void)array_push(table->volumes, table->n_volumes, table->cap_volumes);
	volume = &table->volumes[i];
	memmove(volume + 1, volume, after * sizeof(*volume));
	*volume = (struct volume){ .state.minor = minor };
	set_word(volume->state.disk, sizeof(volume->state.disk), "Diskless", "");
	set_word(volume->state.peer_disk, sizeof(volume->state.peer_disk), "DUnknown", "");
	return volume;
}

static void remove_volume(struct drbd_table *table, struct volume *volume)
{
	const struct volume *end = &table->volumes[table->n_volumes--];

	memmove(volume, volume + 1, (size_t)(end - (volume + 1)) * sizeof(*volume));
}

static struct volume *volume_by_number(const struct drbd_table *table, const char *resource, uint16_t number)
{
	for (size_t i = 0; i < table->n_volumes; i++)
		if (table->volumes[i].state.volume == number && strcmp(table->volumes[i].state.resource, resource) == 0)
			return &table->volumes[i];
	return NULL;
}

static struct resource *resource_by_name(const struct drbd_table *table, const char *name)
{
	for (size_t i = 0; i < table->n_resources; i++)
		if (strcmp(table->resources[i].name, name) == 0)
			return &table->resources[i];
	return NULL;
}

const struct drbd_volume_state *drbd_table_get(const struct drbd_table *table, uint32_t minor)
{
	const struct volume *volume = volume_by_minor(table, minor);

	return volume ? &volume->state : NULL;
}

static const char *get(const struct fields *fields, const char *key)
{
	for (size_t i = 0; i < fields->n; i++)
		if (strcmp(fields->f[i].key, key) == 0)
			return fields->f[i].value;
	return NULL;
}

static bool get_number(const struct fields *fields, const char *key, uint64_t max, uint64_t *ret)
{
	const char *text = get(fields, key);
	unsigned long long number;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end || number > max)
		return false;
	*ret = number;
	return true;
}

/* Copies a state word if the line has it; its length has been checked by words_fit(). */
static void take_word(const struct fields *fields, const char *key, char *ret, size_t size)
{
	const char *word = get(fields, key);

	if (word)
		snprintf(ret, size, "%s", word);
}

/* Whether all state words of a line are such that the table can hold them: a line counts whole or not at all. */
static bool words_fit(const struct fields *fields)
{
	static const struct {
		const char *key;
		size_t size;
	} words[] = { { "role", 16 }, { "disk", 16 }, { "peer-disk", 16 }, { "connection", 20 }, { "replication", 20 },
		      { "suspended", 32 } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *word = get(fields, words[i].key);

		if (word && (!*word || strlen(word) >= words[i].size))
			return false;
	}
	return true;
}

static bool same_state(const struct drbd_volume_state *a, const struct drbd_volume_state *b)
{
	return a->minor == b->minor && a->volume == b->volume && strcmp(a->resource, b->resource) == 0 &&
	       strcmp(a->role, b->role) == 0 && strcmp(a->disk, b->disk) == 0 && strcmp(a->connection, b->connection) == 0 &&
	       strcmp(a->peer_role, b->peer_role) == 0 && strcmp(a->peer_disk, b->peer_disk) == 0 &&
	       strcmp(a->suspended, b->suspended) == 0 && a->shakes_hands == b->shakes_hands && a->size_kib == b->size_kib && a->out_of_sync_kib == b->out_of_sync_kib;
}

/* What the reader sees of a volume, from the volume's and its resource's last words. Returns whether it differs from before. */
static bool compose(struct volume *volume, const struct resource *resource)
{
	struct drbd_volume_state *state = &volume->state, old = *state;
	const char *connection = resource->connection;
	bool syncing = strstr(volume->replication, "Sync") || strncmp(volume->replication, "Verify", 6) == 0;
	bool connected = strcmp(connection, "Connected") == 0, off = !*volume->replication || strcmp(volume->replication, "Off") == 0;

	if (connected && !off && strcmp(volume->replication, "Established") != 0)
		connection = volume->replication;
	state->shakes_hands = connected && off;
	set_word(state->connection, sizeof(state->connection), connection, "StandAlone");
	set_word(state->role, sizeof(state->role), resource->role, "Unknown");
	set_word(state->peer_role, sizeof(state->peer_role), resource->peer_role, "Unknown");
	set_word(state->suspended, sizeof(state->suspended), resource->suspended, "no");
	if (!syncing)
		volume->resync_total_kib = 0;
	else if (state->out_of_sync_kib > volume->resync_total_kib)
		volume->resync_total_kib = state->out_of_sync_kib;
	state->done_percent = 100;
	if (syncing && volume->resync_total_kib > 0)
		state->done_percent =
			100.0 * (double)(volume->resync_total_kib - state->out_of_sync_kib) / (double)volume->resync_total_kib;
	return !same_state(&old, state);
}

static bool compose_all(struct drbd_table *table, const struct resource *resource)
{
	bool changed = false;

	for (size_t i = 0; i < table->n_volumes; i++)
		if (strcmp(table->volumes[i].state.resource, resource->name) == 0)
			changed |= compose(&table->volumes[i], resource);
	return changed;
}

/* The resource of a line; made when it is first heard of, so that a lost "create" costs nothing. */
static struct resource *ensure_resource(struct drbd_table *table, const char *name)
{
	struct resource *resource = resource_by_name(table, name);

	if (resource || table->n_resources == RESOURCES_MAX)
		return resource;
	resource = array_push(table->resources, table->n_resources, table->cap_resources);
	set_word(resource->name, sizeof(resource->name), name, "");
	return resource;
}

static int on_resource(struct drbd_table *table, const char *name, const struct fields *fields, bool destroy)
{
	struct resource *resource;

	if (destroy) {
		size_t kept = 0;
		bool changed;

		for (size_t i = 0; i < table->n_volumes; i++)
			if (strcmp(table->volumes[i].state.resource, name) != 0)
				table->volumes[kept++] = table->volumes[i];
		changed = kept != table->n_volumes;
		table->n_volumes = kept;
		resource = resource_by_name(table, name);
		if (resource)
			*resource = table->resources[--table->n_resources];
		return changed;
	}
	resource = ensure_resource(table, name);
	if (!resource)
		return -EINVAL;
	take_word(fields, "role", resource->role, sizeof(resource->role));
	take_word(fields, "suspended", resource->suspended, sizeof(resource->suspended));
	return compose_all(table, resource);
}

static int on_connection(struct drbd_table *table, const char *name, const struct fields *fields, bool destroy)
{
	struct resource *resource = ensure_resource(table, name);

	if (!resource)
		return -EINVAL;
	if (destroy) {
		resource->connection[0] = resource->peer_role[0] = '\0';
		return compose_all(table, resource);
	}
	take_word(fields, "connection", resource->connection, sizeof(resource->connection));
	take_word(fields, "role", resource->peer_role, sizeof(resource->peer_role));
	return compose_all(table, resource);
}

static int on_device(struct drbd_table *table, const char *name, const struct fields *fields, bool destroy)
{
	struct resource *resource;
	struct volume *volume;
	uint64_t minor, number, size_kib;
	struct drbd_volume_state old;

	if (!get_number(fields, "minor", (1u << 20) - 1, &minor) || !get_number(fields, "volume", UINT16_MAX, &number))
		return -EINVAL;
	volume = volume_by_minor(table, (uint32_t)minor);
	if (destroy) {
		if (!volume)
			return 0;
		remove_volume(table, volume);
		return 1;
	}
	resource = ensure_resource(table, name);
	if (!resource || (!volume && table->n_volumes == VOLUMES_MAX))
		return -EINVAL;
	if (!volume)
		volume = insert_volume(table, (uint32_t)minor);
	old = volume->state;
	set_word(volume->state.resource, sizeof(volume->state.resource), name, "");
	volume->state.volume = (uint16_t)number;
	take_word(fields, "disk", volume->state.disk, sizeof(volume->state.disk));
	if (get_number(fields, "size", UINT64_MAX / 1024, &size_kib))
		volume->state.size_kib = size_kib;
	compose(volume, resource);
	return !same_state(&old, &volume->state);
}

static int on_peer_device(struct drbd_table *table, const char *name, const struct fields *fields, bool destroy)
{
	struct resource *resource = resource_by_name(table, name);
	struct drbd_volume_state old;
	struct volume *volume;
	uint64_t number, kib;

	if (!get_number(fields, "volume", UINT16_MAX, &number))
		return -EINVAL;
	volume = volume_by_number(table, name, (uint16_t)number);
	if (!volume || !resource)
		return 0; /* its device is gone already, or comes with the next dump */
	if (destroy) {
		volume->replication[0] = '\0';
		set_word(volume->state.peer_disk, sizeof(volume->state.peer_disk), "DUnknown", "");
		return compose(volume, resource);
	}
	old = volume->state;
	take_word(fields, "replication", volume->replication, sizeof(volume->replication));
	take_word(fields, "peer-disk", volume->state.peer_disk, sizeof(volume->state.peer_disk));
	/* Left out when it is 0, unless drbdsetup is verbose; the statistics come whole or not at all. */
	if (get_number(fields, "out-of-sync", UINT64_MAX / 1024, &kib))
		volume->state.out_of_sync_kib = kib;
	else if (get(fields, "received"))
		volume->state.out_of_sync_kib = 0;
	compose(volume, resource);
	return !same_state(&old, &volume->state);
}

/* Splits "k:v k:v" in place. */
static int split(char *text, struct fields *ret)
{
	char *save = NULL;

	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *colon = strchr(word, ':');

		if (!colon || colon == word || ret->n == FIELDS_MAX)
			return -EINVAL;
		*colon = '\0';
		ret->f[ret->n].key = word;
		ret->f[ret->n++].value = colon + 1;
	}
	return 0;
}

static int apply(struct drbd_table *table, const char *verb, const char *object, const struct fields *fields)
{
	static const struct {
		const char *object;
		int (*fn)(struct drbd_table *table, const char *name, const struct fields *fields, bool destroy);
	} handlers[] = { { "resource", on_resource },
			 { "connection", on_connection },
			 { "device", on_device },
			 { "peer-device", on_peer_device } };
	bool destroy = strcmp(verb, "destroy") == 0;
	const char *name = get(fields, "name");

	if (strcmp(verb, "call") == 0 || strcmp(verb, "response") == 0)
		return strcmp(object, "helper") == 0 ? 0 : -EINVAL;
	if (!destroy && strcmp(verb, "exists") != 0 && strcmp(verb, "create") != 0 && strcmp(verb, "change") != 0)
		return -EINVAL;
	if (!name || !*name || !words_fit(fields))
		return -EINVAL;
	if (strlen(name) >= NAME_SIZE)
		return 0; /* somebody else's resource: ours are shorter */
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (strcmp(object, handlers[i].object) == 0)
			return handlers[i].fn(table, name, fields, destroy);
	return 0; /* an object of a later DRBD ("path") */
}

int drbd_table_line(struct drbd_table *table, const char *line)
{
	struct fields fields = { .n = 0 };
	char copy[LINE_MAX_SIZE];
	char *verb, *object, *rest = NULL;
	size_t len = strcspn(line, "\r\n");

	if (len == 0 || len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, line, len);
	copy[len] = '\0';
	if (strncmp(copy, "- skipped ", 10) == 0)
		return -ESTALE;
	verb = strtok_r(copy, " ", &rest);
	object = verb ? strtok_r(NULL, " ", &rest) : NULL;
	if (!object)
		return -EINVAL;
	if (strcmp(object, "-") == 0) {
		if (strcmp(verb, "exists") != 0)
			return -EINVAL;
		table->complete = true;
		return 0;
	}
	if (split(rest, &fields) < 0)
		return -EINVAL;
	return apply(table, verb, object, &fields);
}
