// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/drill.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cli/json.h"
#include "base/cleanup.h"
#include "base/xalloc.h"

#define SHOWN 10
#define BAR_WIDTH 40

/* --- one drill -------------------------------------------------------------------------------------------------------------------------*/

static int64_t at_ms_of(const json_t *step)
{
	return json_integer_value(json_object_get(step, "at_ms"));
}

int64_t drill_agent_ms(const json_t *steps, bool crash)
{
	int64_t first = -1, last = -1;
	const json_t *step;
	size_t i;

	json_array_foreach (steps, i, step) {
		const char *name = json_text(step, "step");

		if (crash ? strcmp(name, "fence evidence") == 0 : first < 0)
			first = at_ms_of(step);
		/* Portals follow for hosts that had a path to the dead node only. */
		if (crash ? strcmp(name, "ALUA") == 0 : true)
			last = at_ms_of(step);
	}
	return first < 0 || last < first ? -1 : last - first;
}

int64_t drill_measured_ms(const struct drill *d)
{
	return !d->crash && d->pause_ms >= 0 ? d->pause_ms : d->agent_ms;
}

int64_t drill_limit_ms(const struct drill *d)
{
	return d->crash ? DRILL_CRASH_LIMIT_MS : DRILL_MOVE_LIMIT_MS;
}

char *drill_complaint(const struct drill *d)
{
	int64_t measured_ms = drill_measured_ms(d);

	if (d->error)
		return xstrdup(d->error);
	if (d->failed)
		return xasprintf("%" PRIu64 " writes of the probe failed", d->failed);
	if (measured_ms < 0)
		return xstrdup("the nodes do not tell how long it took");
	if (measured_ms > drill_limit_ms(d))
		return xasprintf("it took %" PRId64 " ms, %" PRId64 " ms are promised", measured_ms, drill_limit_ms(d));
	return NULL;
}

static json_t *number_or_null(int64_t ms)
{
	return ms < 0 ? json_null() : json_integer(ms);
}

json_t *drill_json(const struct drill *d)
{
	_cleanup_free_ char *complaint = drill_complaint(d);

	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:b, s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:O}", "at_ms", (json_int_t)d->at_ms, "group", d->group,
			 "kind", d->crash ? "crash" : "move", "from", d->from, "to", d->to, "ok", !complaint, "reason", complaint ? complaint : "",
			 "command_ms", (json_int_t)d->command_ms, "agent_ms", number_or_null(d->agent_ms), "pause_ms", number_or_null(d->pause_ms),
			 "measured_ms", d->error ? json_null() : number_or_null(drill_measured_ms(d)), "limit_ms", (json_int_t)drill_limit_ms(d),
			 "failed_writes", (json_int_t)d->failed, "steps", d->steps ? d->steps : json_null());
}

/* --- history ---------------------------------------------------------------------------------------------------------------------------*/

int drill_parse_history(const char *text, const char *group, json_t **ret_list, struct err *err)
{
	json_auto_t *list = json_array();
	const char *end;

	for (int line = 1; (end = strchr(text, '\n')); text = end + 1, line++) {
		json_error_t where;
		json_auto_t *drill = json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, &where);

		if (!json_is_object(drill))
			return err_set(err, -EINVAL, "line %d of the history is no drill: %s", line, drill ? "no object" : where.text);
		if (!group[0] || strcmp(json_text(drill, "group"), group) == 0)
			json_array_append(list, drill);
	}
	*ret_list = steal_ptr(list);
	return 0;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static const int64_t buckets_ms[] = { 50, 100, 200, 500, 1000, 1500, 2000, 5000, 10000, INT64_MAX };

static json_t *histogram(const int64_t *sorted, size_t n)
{
	json_t *rows = json_array();
	size_t k = 0;

	for (size_t i = 0; i < ARRAY_SIZE(buckets_ms); i++) {
		size_t from = k;

		while (k < n && sorted[k] <= buckets_ms[i])
			k++;
		json_array_append_new(rows, json_pack("{s:o, s:I}", "up_to_ms",
						      buckets_ms[i] == INT64_MAX ? json_null() : json_integer(buckets_ms[i]), "drills",
						      (json_int_t)(k - from)));
	}
	return rows;
}

/* The smallest value that at least `percent` of all do not exceed. */
static json_int_t quantile(const int64_t *sorted, size_t n, size_t percent)
{
	return sorted[(n * percent + 99) / 100 - 1];
}

static json_t *summary_of(const json_t *list, const char *kind)
{
	_cleanup_free_ int64_t *took = xcalloc(json_array_size(list) + 1, sizeof(*took));
	size_t n = 0, bad = 0, n_took = 0, i;
	const json_t *drill, *measured;
	json_t *ret;

	json_array_foreach (list, i, drill) {
		if (strcmp(json_text(drill, "kind"), kind) != 0)
			continue;
		n++;
		bad += !json_is_true(json_object_get(drill, "ok"));
		measured = json_object_get(drill, "measured_ms");
		if (json_is_integer(measured))
			took[n_took++] = json_integer_value(measured);
	}
	qsort(took, n_took, sizeof(*took), by_size);
	ret = json_pack("{s:I, s:I, s:o}", "drills", (json_int_t)n, "bad", (json_int_t)bad, "histogram", histogram(took, n_took));
	if (n_took > 0) {
		json_object_set_new(ret, "min_ms", json_integer(took[0]));
		json_object_set_new(ret, "median_ms", json_integer(quantile(took, n_took, 50)));
		json_object_set_new(ret, "p95_ms", json_integer(quantile(took, n_took, 95)));
		json_object_set_new(ret, "max_ms", json_integer(took[n_took - 1]));
	}
	return ret;
}

json_t *drill_summary(const json_t *list)
{
	return json_pack("{s:o, s:o}", "move", summary_of(list, "move"), "crash", summary_of(list, "crash"));
}

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void render_histogram(const json_t *rows, json_int_t n, struct strbuf *out)
{
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		json_int_t drills = number(row, "drills"), bar = n ? (drills * BAR_WIDTH + n - 1) / n : 0;

		if (!drills)
			continue;
		if (json_is_null(json_object_get(row, "up_to_ms")))
			strbuf_add(out, "    longer ");
		else
			strbuf_addf(out, "  <= %6" JSON_INTEGER_FORMAT, number(row, "up_to_ms"));
		strbuf_addf(out, " ms %5" JSON_INTEGER_FORMAT "  ", drills);
		while (bar-- > 0)
			strbuf_add(out, "#");
		strbuf_add(out, "\n");
	}
}

static void render_kind(const json_t *summary, const char *name, struct strbuf *out)
{
	json_int_t n = number(summary, "drills");

	if (!n)
		return;
	strbuf_addf(out, "%s: %" JSON_INTEGER_FORMAT " %s, %" JSON_INTEGER_FORMAT " not as promised", name, n, n == 1 ? "drill" : "drills",
		    number(summary, "bad"));
	if (json_object_get(summary, "min_ms"))
		strbuf_addf(out, "; min %" JSON_INTEGER_FORMAT ", median %" JSON_INTEGER_FORMAT ", 95%% %" JSON_INTEGER_FORMAT ", max %"
			    JSON_INTEGER_FORMAT " ms", number(summary, "min_ms"), number(summary, "median_ms"), number(summary, "p95_ms"),
			    number(summary, "max_ms"));
	strbuf_add(out, "\n");
	render_histogram(json_object_get(summary, "histogram"), n, out);
	strbuf_add(out, "\n");
}

static void render_drill(const json_t *drill, struct strbuf *out)
{
	time_t at = (time_t)(number(drill, "at_ms") / 1000);
	const json_t *measured = json_object_get(drill, "measured_ms");
	char when[32] = "";
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%SZ", &tm) == 0)
		when[0] = '\0';
	strbuf_addf(out, "%s  %-5s  %s from %s to %s: ", when, json_text(drill, "kind"), json_text(drill, "group"), json_text(drill, "from"),
		    json_text(drill, "to"));
	if (json_is_integer(measured))
		strbuf_addf(out, "%" JSON_INTEGER_FORMAT " ms", json_integer_value(measured));
	if (!json_is_true(json_object_get(drill, "ok")))
		strbuf_addf(out, "%sNOT AS PROMISED: %s", json_is_integer(measured) ? ", " : "", json_text(drill, "reason"));
	strbuf_add(out, "\n");
}

void drill_render_history(const json_t *list, struct strbuf *out)
{
	json_auto_t *summary = drill_summary(list);
	size_t n = json_array_size(list);

	if (n == 0) {
		strbuf_add(out, "no drill yet\n");
		return;
	}
	render_kind(json_object_get(summary, "move"), "planned moves", out);
	render_kind(json_object_get(summary, "crash"), "crashes", out);
	for (size_t i = n > SHOWN ? n - SHOWN : 0; i < n; i++)
		render_drill(json_array_get(list, i), out);
}
