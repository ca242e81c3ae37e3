// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The core at size: scale [NODES GROUPS]. Real cores on a network that only takes its time; one node is lost and fenced. Prints
 * how long it takes until all its groups are served again, the messages of that, and how many groups each event makes a core
 * look at, which must not grow with the number of groups that there are. Exit status 1 if it does.
 *
 * The document is as large as a real one of so many volumes, and opaque to the core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "ha/core/internal.h"
#include "target-config/model/config.h"

#define SEND_MS 1
#define WRITE_MS 5
#define JOB_MS 50
#define FENCE_MS 2000
#define COPIES 2
#define VOLUMES 16 /* of a group */

struct event {
	int64_t at_ms;
	uint64_t order;
	uint32_t node;
	struct ha_event event;
	char group[HA_NAME_SIZE];
	uint8_t *data; /* owned */
};

static struct {
	uint32_t n_nodes;
	size_t n_groups, document_size;
	struct ha_core *cores[HA_NODES_MAX + 1]; /* by id; NULL: lost */
	int64_t now_ms, timer_ms[HA_NODES_MAX + 1];
	struct event **heap;
	size_t n, cap;
	uint64_t order, steps, messages, bytes, written, writes, fenced;
} w;

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void swap(size_t a, size_t b)
{
	struct event *t = w.heap[a];

	w.heap[a] = w.heap[b];
	w.heap[b] = t;
}

static void push(int64_t delay_ms, uint32_t node, const struct ha_event *event)
{
	struct event *e = xcalloc(1, sizeof(*e));
	size_t at;

	*e = (struct event){ .at_ms = w.now_ms + delay_ms, .order = w.order++, .node = node, .event = *event };
	if (event->group)
		snprintf(e->group, sizeof(e->group), "%s", event->group);
	if (event->group)
		e->event.group = e->group;
	if (event->data) {
		e->data = xmemdup(event->data, event->size);
		e->event.data = e->data;
	}
	*array_push(w.heap, w.n, w.cap) = e;
	for (at = w.n - 1; at && before(w.heap[at], w.heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap(at, (at - 1) / 2);
}

static struct event *pop(void)
{
	struct event *first = w.heap[0];

	w.heap[0] = w.heap[--w.n];
	for (size_t at = 0;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < w.n; child++) {
			if (before(w.heap[child], w.heap[least]))
				least = child;
		}
		if (least == at)
			return first;
		swap(at, least);
		at = least;
	}
}

static void act(uint32_t node, const struct ha_action *a)
{
	switch (a->type) {
	case HA_ACT_SEND:
		w.messages++;
		w.bytes += a->size;
		for (uint32_t id = 1; id <= w.n_nodes; id++) {
			if (w.cores[id])
				push(SEND_MS, id, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = node, .data = a->data,
								      .size = a->size });
		}
		break;
	case HA_ACT_PERSIST:
		w.writes++;
		w.written += a->size;
		push(WRITE_MS, node, &(struct ha_event){ .type = HA_EV_PERSISTED, .version = a->version });
		break;
	case HA_ACT_ACQUIRE:
	case HA_ACT_RELEASE:
	case HA_ACT_STAND_DOWN:
		push(JOB_MS, node, &(struct ha_event){ .type = HA_EV_DONE, .action = a->type, .group = a->group, .epoch = a->epoch });
		break;
	case HA_ACT_FENCE:
		w.fenced++;
		push(FENCE_MS, node, &(struct ha_event){ .type = HA_EV_DONE, .action = a->type, .nodeid = a->nodeid,
							 .epoch = a->epoch });
		break;
	case HA_ACT_TIMER:
		w.timer_ms[node] = a->deadline_ms;
		if (a->deadline_ms < INT64_MAX)
			push(MAX(a->deadline_ms - w.now_ms, 0), node, &(struct ha_event){ .type = HA_EV_TIMER });
		break;
	default:
		break;
	}
}

static void step(uint32_t node, const struct ha_event *event)
{
	struct ha_action action;

	if (!w.cores[node] || (event->type == HA_EV_TIMER && w.now_ms < w.timer_ms[node]))
		return;
	w.steps++;
	ha_core_step(w.cores[node], event, w.now_ms);
	while (ha_core_next_action(w.cores[node], &action))
		act(node, &action);
}

static size_t n_owned(uint32_t at)
{
	size_t n = 0;

	for (size_t i = 0; w.cores[at] && i < w.n_groups; i++) {
		struct ha_core_view view;
		struct ha_group_view group;

		ha_core_view(w.cores[at], &view);
		if (view.n_groups != w.n_groups)
			return 0;
		ha_core_group(w.cores[at], i, &group);
		n += group.phase == HA_PHASE_OWNED && group.settled && w.cores[group.owner];
	}
	return n;
}

/* Until node `at` sees all groups served; looked at each 10 ms. */
static bool run_until_owned(uint32_t at, int64_t limit_ms)
{
	int64_t look_ms = w.now_ms + 10;

	while (w.n && w.now_ms < limit_ms) {
		struct event *e = pop();

		w.now_ms = e->at_ms;
		step(e->node, &e->event);
		free(e->data);
		free(e);
		if (w.now_ms < look_ms)
			continue;
		look_ms = w.now_ms + 10;
		if (n_owned(at) == w.n_groups)
			return true;
	}
	return false;
}

static void view(void)
{
	uint32_t ids[HA_NODES_MAX];
	size_t n = 0;

	for (uint32_t id = 1; id <= w.n_nodes; id++) {
		if (w.cores[id])
			ids[n++] = id;
	}
	for (size_t i = 0; i < n; i++) {
		step(ids[i], &(struct ha_event){ .type = HA_EV_VIEW, .nodes = ids, .n_nodes = n, .ring = ids, .n_ring = n });
		step(ids[i], &(struct ha_event){ .type = HA_EV_QUORUM, .yes = n > w.n_nodes / 2 });
	}
}

static struct ha_group_spec *make_specs(void)
{
	struct ha_group_spec *specs = xcalloc(w.n_groups, sizeof(*specs));

	for (size_t i = 0; i < w.n_groups; i++) {
		snprintf(specs[i].name, sizeof(specs[i].name), "g%05zu", i);
		specs[i].nodes[0] = 1 + (uint32_t)(i % w.n_nodes);
		specs[i].nodes[1] = 1 + (uint32_t)((i + 1 + i / w.n_nodes % (w.n_nodes - 1)) % w.n_nodes);
		specs[i].prefer = specs[i].nodes[0];
	}
	return specs;
}

static void boot(void)
{
	struct ha_group_spec *specs = make_specs();
	struct ha_settings settings = { .n_electorate = w.n_nodes };
	uint8_t *document = xcalloc(1, w.document_size);

	for (uint32_t id = 1; id <= w.n_nodes; id++) {
		settings.electorate[id - 1].nodeid = id;
		snprintf(settings.electorate[id - 1].name, HA_NAME_SIZE, "n%u", id);
	}
	for (uint32_t id = 1; id <= w.n_nodes; id++) {
		settings.nodeid = settings.incarnation = id;
		w.cores[id] = ha_core_new(&settings);
		step(id, &(struct ha_event){ .type = HA_EV_START });
	}
	view();
	while (!core_is_active(w.cores[1]) && w.n) {
		struct event *e = pop();

		w.now_ms = e->at_ms;
		step(e->node, &e->event);
		free(e->data);
		free(e);
	}
	step(1, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_CONFIG, .data = document, .size = w.document_size,
				    .groups = specs, .n_groups = w.n_groups });
	for (size_t i = 0; i < w.n_groups; i++) {
		for (int k = 0; k < COPIES; k++) {
			push(3000, specs[i].nodes[k], &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_SERVING, .group = specs[i].name });
			push(3001, specs[i].nodes[k], &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_READY, .group = specs[i].name,
									   .yes = true });
		}
	}
	free(specs);
	free(document);
}

static uint64_t n_pumped(void)
{
	uint64_t n = 0;

	for (uint32_t id = 1; id <= w.n_nodes; id++)
		n += w.cores[id] ? w.cores[id]->n_pumped : 0;
	return n;
}

/* --- what documents take ---*/

static void some_bytes(void *p, size_t size)
{
	static uint32_t next;

	for (uint8_t *byte = p; size > 0; size--) {
		next = next * 1103515245 + 12345;
		*byte++ = (uint8_t)(next >> 16);
	}
}

/* As printed, which is what the nodes agree on: DRBD groups of two nodes, all of them volumes of a pool, none mapped. */
static size_t document_size(size_t n_groups, size_t n_volumes)
{
	struct config *config = NULL;
	struct err err = ERR_INIT;
	char *text = NULL, *printed;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	fprintf(out, "{\"lunward\": 1, \"cluster\": \"big\", \"pools\": {\"p\": {\"vg\": \"vg\"}}, \"nodes\": {");
	for (uint32_t id = 1; id <= w.n_nodes; id++)
		fprintf(out, "%s\"n%u\": {\"id\": %u, \"replication_address\": \"10.0.0.%u\"}", id > 1 ? ", " : "", id, id, id);
	fprintf(out, "}, \"groups\": {");
	for (size_t i = 0; i < n_groups; i++)
		fprintf(out, "%s\"g%05zu\": {\"backend\": \"drbd\", \"nodes\": [\"n%zu\", \"n%zu\"]}", i ? ", " : "", i, 1 + i % w.n_nodes,
			1 + (i + 1) % w.n_nodes);
	fprintf(out, "}, \"volumes\": {");
	for (size_t i = 0; i < n_volumes; i++)
		fprintf(out, "%s\"v%05zu\": {\"group\": \"g%05zu\", \"pool\": \"p\", \"size\": \"10GiB\"}", i ? ", " : "", i, i % n_groups);
	fprintf(out, "}}");
	(void)fclose(out);
	if (config_parse(text, size, NULL, some_bytes, &config, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	printed = config_print(config, true);
	size = strlen(printed);
	free(printed);
	free(text);
	config_free(config);
	return size;
}

int main(int argc, char **argv)
{
	int64_t lost_ms, cpu_us = clock_now_us();
	uint64_t pumped;
	double per_step;
	bool ok;

	w.n_nodes = argc > 2 ? (uint32_t)strtoul(argv[1], NULL, 0) : 16;
	w.n_groups = argc > 2 ? strtoul(argv[2], NULL, 0) : HA_GROUPS_MAX;
	w.document_size = document_size(w.n_groups, w.n_groups * VOLUMES);
	boot();
	cpu_us = clock_now_us();
	if (!run_until_owned(1, 600000)) {
		printf("not all groups were ever served: %zu of %zu\n", n_owned(1), w.n_groups);
		return 1;
	}
	printf("%u nodes, %zu groups, %zu volumes, a document of %.1f MB: served after %.2f s; %llu messages, %.1f MB, %llu steps in %.2f s\n",
	       w.n_nodes, w.n_groups, w.n_groups * VOLUMES, (double)w.document_size / 1e6, (double)w.now_ms / 1000, (unsigned long long)w.messages,
	       (double)w.bytes / 1e6, (unsigned long long)w.steps, (double)(clock_now_us() - cpu_us) / 1e6);
	(void)fflush(stdout);
	w.messages = w.bytes = w.steps = w.writes = w.written = 0;
	ha_core_free(w.cores[w.n_nodes]);
	w.cores[w.n_nodes] = NULL;
	pumped = n_pumped();
	lost_ms = w.now_ms;
	cpu_us = clock_now_us();
	view();
	ok = run_until_owned(1, w.now_ms + 600000);
	pumped = n_pumped() - pumped;
	/* All are looked at a few times when the view changes; else each step looks at what it changed. */
	per_step = ((double)pumped - 4.0 * (double)w.n_groups * (w.n_nodes - 1)) / (double)w.steps;
	printf("one node lost and fenced in %d ms: all served after %.3f s; %llu messages, %.1f MB, %llu writes of %.1f MB in "
	       "all, %llu steps in %.2f s of one core, %.1f groups looked at in a step beside the view change\n",
	       FENCE_MS, (double)(w.now_ms - lost_ms) / 1000, (unsigned long long)w.messages, (double)w.bytes / 1e6,
	       (unsigned long long)w.writes, (double)w.written / 1e6, (unsigned long long)w.steps, (double)(clock_now_us() - cpu_us) / 1e6,
	       per_step);
	return ok && w.fenced == 1 && per_step < 64 ? 0 : 1;
}
