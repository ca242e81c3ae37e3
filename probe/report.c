// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

#define BAR_WIDTH 40
#define PAUSES_SHOWN 10

void check_note(struct check *check, const struct example *what)
{
	check->count[what->finding]++;
	if (finding_is_fault(what->finding) && check->n_examples < CHECK_EXAMPLES_MAX)
		check->examples[check->n_examples++] = *what;
}

/* --- verdict -------------------------------------------------------------------------------------------------------------------------*/

/* One more phrase that speaks against "clean". */
#define because(reasons, ...) (strbuf_add(reasons, (reasons)->len ? "; " : ""), strbuf_addf(reasons, __VA_ARGS__))

static double seconds(int64_t us)
{
	return (double)us / 1e6;
}

static bool judge_data(const struct check *check, struct strbuf *reasons)
{
	bool bad = false;

	for (enum finding f = 0; f < N_FINDINGS; f++) {
		if (finding_is_fault(f) && check->count[f]) {
			because(reasons, "%" PRIu64 " %s %s", check->count[f], check->count[f] == 1 ? "block" : "blocks", finding_name(f));
			bad = true;
		}
	}
	return bad;
}

static int64_t longest_us(const struct stats *s)
{
	return MAX(s->longest_op_us, s->longest_pause.took_us);
}

static bool judge_operations(const struct report *r, struct strbuf *reasons)
{
	const struct stats *s = r->stats;
	bool bad = false;

	for (enum op op = 0; op < N_OPS; op++) {
		if (s->failed[op]) {
			because(reasons, "%" PRIu64 " %s failed", s->failed[op], op == OP_READ ? "reads" : "writes");
			bad = true;
		}
	}
	if (r->stuck) {
		because(reasons, "%u operations have not come back", r->stuck);
		bad = true;
	}
	if (r->max_pause_ms && longest_us(s) > r->max_pause_ms * 1000) {
		because(reasons, "a pause of %.3f s, more than %.3f s", seconds(longest_us(s)), seconds(r->max_pause_ms * 1000));
		bad = true;
	}
	return bad;
}

/* What keeps it from proving anything. */
static bool undecided(const struct report *r, struct strbuf *reasons)
{
	size_t before = reasons->len;

	if (r->log_problem)
		because(reasons, "the log could not be kept: %s", r->log_problem);
	if (r->check.count[FINDING_SUPERSEDED])
		because(reasons, "%" PRIu64 " blocks were written by another run", r->check.count[FINDING_SUPERSEDED]);
	if (!r->writes)
		because(reasons, "no write was acknowledged");
	if (!r->check.complete)
		because(reasons, "what was written was not all read back");
	return reasons->len > before;
}

enum verdict report_verdict(const struct report *r, struct strbuf *ret_reasons)
{
	bool bad = judge_data(&r->check, ret_reasons), unclear;

	if (r->stats && judge_operations(r, ret_reasons))
		bad = true;
	unclear = undecided(r, ret_reasons);
	if (bad)
		return VERDICT_FAULTY;
	return unclear ? VERDICT_UNDECIDED : VERDICT_CLEAN;
}

static const char *verdict_name(enum verdict v)
{
	return v == VERDICT_CLEAN ? "clean" : v == VERDICT_FAULTY ? "faulty" : "undecided";
}

/* --- text ----------------------------------------------------------------------------------------------------------------------------*/

static void add_example(struct strbuf *out, const struct report *r, const struct example *e)
{
	strbuf_addf(out, "block %" PRIu64 " (byte %" PRIu64 ") %s: ", e->block, r->offset + e->block * PROBE_BLOCK_SIZE,
		    finding_name(e->finding));
	if (e->finding == FINDING_UNREADABLE)
		strbuf_add(out, strerror(e->error));
	else
		strbuf_addf(out, "write %" PRIu64 " acknowledged, %" PRIu64 " begun, found %" PRIu64, e->known.acked, e->known.issued, e->newest);
	if (e->newest != e->oldest)
		strbuf_addf(out, " and %" PRIu64, e->oldest);
}

static int64_t wall_of(const struct report *r, int64_t us)
{
	return r->wall_ms + (us - r->clock_us) / 1000;
}

static void add_bucket(struct strbuf *out, const struct stats *s, size_t i, uint64_t most)
{
	const struct bucket *b = &s->histogram[i];
	int64_t up_to = stats_bucket_ms(i);
	int bar = most ? (int)(b->operations * BAR_WIDTH / most) : 0;

	if (up_to == INT64_MAX)
		strbuf_add(out, "      longer");
	else
		strbuf_addf(out, "  <=%7" PRId64 , up_to);
	strbuf_addf(out, "%*s%12" PRIu64 "%8" PRIu64 "  ", up_to == INT64_MAX ? 0 : 1, "", b->operations, b->pauses);
	for (int k = 0; k < bar || (k == 0 && b->operations); k++)
		strbuf_add(out, "#");
	while (out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
	strbuf_add(out, "\n");
}

static void add_histogram(struct strbuf *out, const struct stats *s)
{
	size_t last = STATS_BUCKETS;
	uint64_t most = 0;

	while (last > 0 && !s->histogram[last - 1].operations && !s->histogram[last - 1].pauses)
		last--;
	for (size_t i = 0; i < last; i++)
		most = MAX(most, s->histogram[i].operations);
	strbuf_add(out, "\n  took ms     operations  pauses\n");
	for (size_t i = 0; i < last; i++)
		add_bucket(out, s, i, most);
	strbuf_add(out, "\n");
}

static void add_pauses(struct strbuf *out, const struct report *r)
{
	const struct stats *s = r->stats;
	uint64_t n = s->n_pauses + s->pauses_left_out;

	strbuf_addf(out, "pauses      %" PRIu64 " of %" PRId64 " ms or more; longest %.3f s, longest operation %.3f s\n", n,
		    s->min_pause_us / 1000, seconds(s->longest_pause.took_us), seconds(s->longest_op_us));
	for (size_t i = 0; i < s->n_pauses && i < PAUSES_SHOWN; i++) {
		strbuf_add(out, "            ");
		strbuf_add_utc(out, wall_of(r, s->pauses[i].from_us));
		strbuf_addf(out, "  %.3f s\n", seconds(s->pauses[i].took_us));
	}
	if (n > PAUSES_SHOWN)
		strbuf_addf(out, "            and %" PRIu64 " more\n", n - PAUSES_SHOWN);
}

static void add_run(struct strbuf *out, const struct report *r)
{
	const struct stats *s = r->stats;

	strbuf_addf(out, "ran         %.1f s, %u %s: %" PRIu64 " writes and %" PRIu64 " reads done, %" PRIu64 " and %" PRIu64 " failed\n",
		    seconds(r->took_us), r->streams, r->streams == 1 ? "stream" : "streams", s->done[OP_WRITE], s->done[OP_READ],
		    s->failed[OP_WRITE], s->failed[OP_READ]);
	if (r->stuck)
		strbuf_addf(out, "stuck       %u operations have not come back\n", r->stuck);
	add_pauses(out, r);
	add_histogram(out, s);
}

static void add_data(struct strbuf *out, const struct report *r)
{
	const struct check *c = &r->check;

	strbuf_addf(out, "data        %" PRIu64 " written blocks read back%s", c->blocks, c->complete ? "" : ", but not all");
	for (enum finding f = FINDING_UNFINISHED; f < N_FINDINGS; f++) {
		if (c->count[f])
			strbuf_addf(out, ", %" PRIu64 " %s", c->count[f], finding_name(f));
	}
	strbuf_add(out, "\n");
	for (unsigned int i = 0; i < c->n_examples; i++) {
		strbuf_add(out, "            ");
		add_example(out, r, &c->examples[i]);
		strbuf_add(out, "\n");
	}
}

void report_text(const struct report *r, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf reasons = { 0 };
	enum verdict v = report_verdict(r, &reasons);

	strbuf_addf(out, "area        %s, %" PRIu64 " blocks of 4 KiB from byte %" PRIu64 "\n", r->path, r->n_blocks, r->offset);
	if (r->stats)
		add_run(out, r);
	else
		strbuf_addf(out, "log         %" PRIu64 " writes acknowledged, %" PRIu64 " failed; the run %s\n", r->writes, r->failed,
			    r->ended ? "has ended in order" : "goes on or was cut off");
	add_data(out, r);
	strbuf_addf(out, "verdict     %s%s%s\n", verdict_name(v), reasons.len ? ": " : "", strbuf_str(&reasons));
}

/* --- JSON ----------------------------------------------------------------------------------------------------------------------------*/

static void add_string(struct strbuf *out, const char *text)
{
	strbuf_add(out, "\"");
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			strbuf_addf(out, "\\%c", *p);
		else if ((unsigned char)*p < 0x20)
			strbuf_addf(out, "\\u%04x", (unsigned int)(unsigned char)*p);
		else
			strbuf_add_bytes(out, p, 1);
	}
	strbuf_add(out, "\"");
}

static void json_pause(struct strbuf *out, const struct report *r, const struct pause *p)
{
	strbuf_addf(out, "{\"ms\": %.3f, \"from_us\": %" PRId64 ", \"wall_ms\": %" PRId64 "}", (double)p->took_us / 1e3, p->from_us,
		    wall_of(r, p->from_us));
}

static void json_run(struct strbuf *out, const struct report *r)
{
	const struct stats *s = r->stats;

	strbuf_addf(out, ", \"seconds\": %.3f, \"streams\": %u, \"reads\": %" PRIu64 ", \"errors\": {\"reads\": %" PRIu64 ", \"writes\": %" PRIu64
		    "}, \"stuck\": %u, \"longest_operation_ms\": %.3f, \"log_longest_ms\": %.3f, \"min_pause_ms\": %" PRId64
		    ", \"max_pause_ms\": ", seconds(r->took_us), r->streams, s->done[OP_READ], s->failed[OP_READ], s->failed[OP_WRITE], r->stuck,
		    (double)s->longest_op_us / 1e3, (double)r->log_longest_us / 1e3, s->min_pause_us / 1000);
	if (r->max_pause_ms)
		strbuf_addf(out, "%" PRId64, r->max_pause_ms);
	else
		strbuf_add(out, "null");
	strbuf_add(out, ", \"longest_pause\": ");
	json_pause(out, r, &s->longest_pause);
	strbuf_add(out, ", \"pauses\": [");
	for (size_t i = 0; i < s->n_pauses; i++) {
		strbuf_add(out, i ? ", " : "");
		json_pause(out, r, &s->pauses[i]);
	}
	strbuf_addf(out, "], \"pauses_left_out\": %" PRIu64 ", \"histogram\": [", s->pauses_left_out);
	for (size_t i = 0; i < STATS_BUCKETS; i++) {
		strbuf_add(out, i ? ", {\"up_to_ms\": " : "{\"up_to_ms\": ");
		if (stats_bucket_ms(i) == INT64_MAX)
			strbuf_add(out, "null");
		else
			strbuf_addf(out, "%" PRId64, stats_bucket_ms(i));
		strbuf_addf(out, ", \"operations\": %" PRIu64 ", \"pauses\": %" PRIu64 "}", s->histogram[i].operations, s->histogram[i].pauses);
	}
	strbuf_add(out, "]");
}

static void json_data(struct strbuf *out, const struct report *r)
{
	const struct check *c = &r->check;

	strbuf_addf(out, ", \"data\": {\"blocks\": %" PRIu64 ", \"complete\": %s", c->blocks, c->complete ? "true" : "false");
	for (enum finding f = FINDING_UNFINISHED; f < N_FINDINGS; f++)
		strbuf_addf(out, ", \"%s\": %" PRIu64, finding_name(f), c->count[f]);
	strbuf_add(out, ", \"examples\": [");
	for (unsigned int i = 0; i < c->n_examples; i++) {
		_cleanup_strbuf_ struct strbuf text = { 0 };

		add_example(&text, r, &c->examples[i]);
		strbuf_addf(out, "%s{\"block\": %" PRIu64 ", \"finding\": \"%s\", \"text\": ", i ? ", " : "", c->examples[i].block,
			    finding_name(c->examples[i].finding));
		add_string(out, strbuf_str(&text));
		strbuf_add(out, "}");
	}
	strbuf_add(out, "]}");
}

void report_json(const struct report *r, bool verdict, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf reasons = { 0 };

	strbuf_add(out, "{");
	if (verdict) {
		strbuf_addf(out, "\"verdict\": \"%s\", \"reasons\": ", verdict_name(report_verdict(r, &reasons)));
		add_string(out, strbuf_str(&reasons));
		strbuf_add(out, ", ");
	}
	strbuf_add(out, "\"area\": ");
	add_string(out, r->path);
	strbuf_addf(out, ", \"offset\": %" PRIu64 ", \"length\": %" PRIu64 ", \"run\": \"%" PRIu64 "\", \"wall_ms\": %" PRId64
		    ", \"writes\": %" PRIu64, r->offset, r->n_blocks * PROBE_BLOCK_SIZE, r->run, r->wall_ms, r->writes);
	if (r->stats)
		json_run(out, r);
	else
		strbuf_addf(out, ", \"failed_writes\": %" PRIu64 ", \"ended\": %s", r->failed, r->ended ? "true" : "false");
	json_data(out, r);
	strbuf_add(out, "}\n");
}

void report_print(const struct report *r, bool json)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };

	if (json)
		report_json(r, true, &out);
	else
		report_text(r, &out);
	if (fputs(strbuf_str(&out), stdout) < 0)
		perror("lunward-probe");
}
