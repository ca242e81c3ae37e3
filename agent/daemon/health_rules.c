// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/health_rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct streak {
	unsigned int n;
	int64_t since_ms;
	bool lasts;
};

struct track { /* what looks saw of one portal, or of one group through it */
	char *portal, *target, *group, *result, *text;
	uint64_t epoch;
	bool seen; /* in this round */
	struct streak any, reads;
};

struct gift {
	char *group;
	int64_t at_ms;
};

struct health_rules {
	struct track *tracks;
	size_t n, cap;
	struct gift *gifts;
	size_t n_gifts, cap_gifts;
};

struct health_rules *health_rules_new(void)
{
	return xcalloc(1, sizeof(struct health_rules));
}

static void free_track(struct track *track)
{
	free(track->portal);
	free(track->target);
	free(track->group);
	free(track->result);
	free(track->text);
}

void health_rules_free(struct health_rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->n; i++)
		free_track(&rules->tracks[i]);
	for (size_t i = 0; i < rules->n_gifts; i++)
		free(rules->gifts[i].group);
	free(rules->tracks);
	free(rules->gifts);
	free(rules);
}

void health_rules_begin(struct health_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		rules->tracks[i].seen = false;
}

void health_rules_end(struct health_rules *rules)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->n; i++) {
		if (rules->tracks[i].seen)
			rules->tracks[kept++] = rules->tracks[i];
		else
			free_track(&rules->tracks[i]);
	}
	rules->n = kept;
}

static bool is_at(const struct track *track, const char *portal, const char *target)
{
	return strcmp(track->portal, portal) == 0 && strcmp(track->target, target) == 0;
}

static struct track *track_of(struct health_rules *rules, const struct health_view *view)
{
	struct track *track;

	for (size_t i = 0; i < rules->n; i++) {
		track = &rules->tracks[i];
		if (is_at(track, view->portal, view->target) && strcmp(track->group, view->group) == 0)
			return track;
	}
	track = array_push(rules->tracks, rules->n, rules->cap);
	*track = (struct track){ .portal = xstrdup(view->portal), .target = xstrdup(view->target), .group = xstrdup(view->group),
				 .result = xstrdup("good"), .text = xstrdup(""), .epoch = view->epoch };
	return track;
}

static void add(struct streak *streak, bool yes, int64_t now_ms)
{
	if (!yes) {
		*streak = (struct streak){ 0 };
		return;
	}
	if (!streak->n++)
		streak->since_ms = now_ms;
	streak->lasts = streak->n >= HEALTH_LASTS_LOOKS && now_ms - streak->since_ms >= HEALTH_LASTS_MS;
}

static void judge(struct track *track, int64_t now_ms)
{
	track->seen = true;
	add(&track->any, strcmp(track->result, "good") != 0, now_ms);
	add(&track->reads, strcmp(track->result, "read") == 0, now_ms);
}

void health_rules_saw(struct health_rules *rules, const struct health_view *view, int64_t now_ms)
{
	struct track *track = track_of(rules, view);

	if (track->epoch != view->epoch) {
		track->epoch = view->epoch;
		track->any = track->reads = (struct streak){ 0 };
	}
	track->seen = true;
	if (strcmp(view->result, "unknown") == 0)
		return;
	free(track->result);
	free(track->text);
	track->result = xstrdup(view->result);
	track->text = xstrdup(view->text);
	judge(track, now_ms);
}

void health_rules_still(struct health_rules *rules, const char *portal, const char *target, int64_t now_ms)
{
	for (size_t i = 0; i < rules->n; i++) {
		if (is_at(&rules->tracks[i], portal, target))
			judge(&rules->tracks[i], now_ms);
	}
}

void health_rules_faults(const struct health_rules *rules, health_fault_fn *fn, void *ctx)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct track *t = &rules->tracks[i];

		if (t->any.lasts)
			fn(ctx, &(struct health_view){ t->portal, t->target, t->group, t->epoch, t->result, t->text });
	}
}

static bool reads_fail(const struct health_rules *rules, const char *group)
{
	for (size_t i = 0; i < rules->n; i++) {
		if (rules->tracks[i].reads.lasts && strcmp(rules->tracks[i].group, group) == 0)
			return true;
	}
	return false;
}

uint32_t health_rules_successor(const struct health_rules *rules, const char *group, const struct health_peer *peers, size_t n_peers,
				int64_t now_ms)
{
	if (!reads_fail(rules, group) || health_rules_gave(rules, group, now_ms))
		return 0;
	for (size_t i = 0; i < n_peers; i++) {
		if (peers[i].able && !peers[i].gave)
			return peers[i].nodeid;
	}
	return 0;
}

static struct gift *find_gift(const struct health_rules *rules, const char *group)
{
	for (size_t i = 0; i < rules->n_gifts; i++) {
		if (strcmp(rules->gifts[i].group, group) == 0)
			return &rules->gifts[i];
	}
	return NULL;
}

void health_rules_give(struct health_rules *rules, const char *group, int64_t now_ms)
{
	struct gift *gift = find_gift(rules, group);

	if (!gift) {
		gift = array_push(rules->gifts, rules->n_gifts, rules->cap_gifts);
		gift->group = xstrdup(group);
	}
	gift->at_ms = now_ms;
}

bool health_rules_gave(const struct health_rules *rules, const char *group, int64_t now_ms)
{
	const struct gift *gift = find_gift(rules, group);

	return gift && now_ms - gift->at_ms < HEALTH_BRAKE_MS;
}
