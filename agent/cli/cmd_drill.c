// SPDX-License-Identifier: GPL-2.0-or-later
/* drill: a failover on purpose, compared with what is promised and kept; what those before have shown. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/drill.h"
#include "agent/cli/json.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "probe/acklog.h"

#define HISTORY_FILE "/var/lib/lunward/drills.jsonl"
#define HISTORY_MAX (64u << 20)
#define LOOK_EVERY_MS 250
/* A log may have millions of lines, and each look reads them. */
#define LOG_EVERY_MS 1000
/* How far the clocks of this node and of the probe's machine may be apart. */
#define SKEW_MS 2000

/* --- history ---------------------------------------------------------------------------------------------------------------------------*/

static const char *history_path(const struct cli *cli)
{
	return cli->history_file ? cli->history_file : HISTORY_FILE;
}

static enum cli_exit show_history(const struct cli *cli)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	_cleanup_free_ char *text = NULL;
	json_auto_t *list = NULL, *answer = NULL;
	struct err err = ERR_INIT;
	int rc = file_read(history_path(cli), HISTORY_MAX, &text, NULL);

	if (rc < 0 && rc != -ENOENT) {
		err_errno(&err, rc, "%s", history_path(cli));
		return cli_fail(cli, &err);
	}
	if (drill_parse_history(text ? text : "", cli->n_args ? cli->args[0] : "", &list, &err) < 0) {
		err_prefix(&err, "%s", history_path(cli));
		return cli_fail(cli, &err);
	}
	if (cli->json) {
		answer = json_pack("{s:O, s:o}", "drills", list, "summary", drill_summary(list));
		cli_print_json(answer);
		return CLI_EXIT_OK;
	}
	drill_render_history(list, &out);
	fputs(strbuf_str(&out), stdout);
	return CLI_EXIT_OK;
}

/* One write(2), so that two drills at a time do not mix their lines. */
static int keep(int fd, const json_t *drill)
{
	_cleanup_free_ char *text = json_dumps(drill, JSON_COMPACT), *line = xasprintf("%s\n", text ? text : "{}");
	ssize_t n = write(fd, line, strlen(line));

	if (n != (ssize_t)strlen(line))
		return n < 0 ? -errno : -EIO;
	return fsync(fd) < 0 ? -errno : 0;
}

/* --- before ----------------------------------------------------------------------------------------------------------------------------*/

/* The first node that could take it over; "" if there is none. */
static const char *spare_of(const json_t *group)
{
	const json_t *node;
	size_t i;

	json_array_foreach (json_object_get(group, "nodes"), i, node) {
		const char *name = json_string_value(node);

		if (name && strcmp(name, json_text(group, "owner")) != 0 && json_names(json_object_get(group, "current"), name) &&
		    json_names(json_object_get(group, "ready"), name))
			return name;
	}
	return "";
}

static int plan(const struct cli *cli, const json_t *status, struct drill *drill, struct err *err)
{
	const json_t *group = json_group(status, cli->args[0]);

	if (!group)
		return err_set(err, -ENOENT, "no group \"%s\"; see `lunward status`", cli->args[0]);
	*drill = (struct drill){ .group = json_text(group, "name"), .from = json_text(group, "owner"), .to = spare_of(group),
				 .crash = cli_has(cli, CLI_OPTION_CRASH), .agent_ms = -1, .pause_ms = -1 };
	if (strcmp(json_text(group, "phase"), "owned") != 0)
		return err_set(err, -EBUSY, "group %s is %s; drills begin with groups that are served", drill->group, json_text(group, "phase"));
	if (!drill->to[0])
		return err_set(err, -EHOSTUNREACH, "group %s has no spare; see `lunward status`", drill->group);
	return 0;
}

static int look_at_log(const struct cli *cli, int64_t from_ms, int64_t until_ms, struct acklog_pause *ret, struct err *err)
{
	_cleanup_fclose_ FILE *in = fopen(cli->probe_log, "re");

	if (!in)
		return err_errno(err, -errno, "%s", cli->probe_log);
	return acklog_pause(in, cli->probe_log, from_ms, until_ms, ret, err);
}

/* Without a probe that writes right now, there would be nothing to see. */
static int check_probe(const struct cli *cli, struct err *err)
{
	int64_t now_ms = clock_wall_ms();
	struct acklog_pause seen = { 0 };
	int rc = cli->probe_log ? look_at_log(cli, now_ms, now_ms, &seen, err) : 0;

	if (rc < 0 || !cli->probe_log)
		return rc;
	if (seen.last_ack_ms < now_ms - SKEW_MS || seen.last_ack_ms > now_ms + SKEW_MS)
		return err_set(err, -EINVAL, "%s: its last acknowledgement is %" PRId64 " ms old: no probe runs, or its clock is wrong",
			       cli->probe_log, now_ms - seen.last_ack_ms);
	return 0;
}

static void ask_crash(const struct cli *cli, const char *node)
{
	(void)cli;
	fprintf(stderr,
		"%s is going to be fenced: it loses its power with all that runs on it, and stays off\n"
		"until somebody switches it on. Until then there is no spare.\n\n"
		"Type its name to have it so: ", node);
}

static enum cli_exit confirm(const struct cli *cli, const struct drill *drill)
{
	return drill->crash ? cli_confirm(cli, "--crash needs --yes", drill->from, ask_crash) : CLI_EXIT_OK;
}

/* --- the drill -------------------------------------------------------------------------------------------------------------------------*/

static bool has_step(const json_t *group, const char *name)
{
	return json_find(json_object_get(json_object_get(group, "last_change"), "steps"), "step", name);
}

/* Whether somebody else serves it, and says how it came about. */
static bool is_taken_over(const struct drill *drill, const json_t *group)
{
	return strcmp(json_text(group, "phase"), "owned") == 0 && strcmp(json_text(group, "owner"), drill->from) != 0 && has_step(group, "ALUA");
}

/* Asks for the status until the group is served by another; the last answer is the caller's. */
static int wait_taken_over(const struct cli *cli, const struct drill *drill, int64_t deadline_ms, json_t **status, struct err *err)
{
	while (clock_now_ms() < deadline_ms) {
		json_t *answer = NULL;

		if (cli_call(cli, "status", NULL, &answer, err) == 0) {
			json_decref(*status);
			*status = answer;
			if (is_taken_over(drill, json_group(answer, cli->args[0])))
				return 0;
		}
		(void)poll(NULL, 0, LOOK_EVERY_MS);
	}
	return err_set(err, -ETIMEDOUT, "group %s is not served by another node yet; see `lunward status`, and what lunwardd says of fencing in the journal",
		       drill->group);
}

static int fence(const struct cli *cli, const struct drill *drill, struct err *err)
{
	json_auto_t *answer = NULL;
	int rc = cli_call(cli, "fence-owner", json_pack("{s:s}", "group", drill->group), &answer, err);

	if (rc == 0)
		fprintf(stderr, "%s: %s is being fenced\n", cli->verb->name, json_text(answer, "node"));
	return rc;
}

static int move(const struct cli *cli, const struct drill *drill, json_t **status, struct err *err)
{
	int rc = cli_call(cli, "move", json_pack("{s:s, s:s}", "group", drill->group, "node", drill->to), NULL, err);
	json_t *answer = NULL;

	if (rc < 0 || cli_call(cli, "status", NULL, &answer, NULL) < 0)
		return rc;
	json_decref(*status);
	*status = answer;
	return 0;
}

/* Until the probe's log has gone on well past the end, whatever the two clocks are. */
static int ask_probe(const struct cli *cli, struct drill *drill, int64_t end_ms, int64_t deadline_ms, struct err *err)
{
	int64_t from_ms = drill->at_ms - SKEW_MS, until_ms = end_ms + SKEW_MS;
	struct acklog_pause seen = { 0 };
	int rc;

	while ((rc = look_at_log(cli, from_ms, until_ms, &seen, err)) == 0 && seen.last_ack_ms < until_ms && clock_now_ms() < deadline_ms)
		(void)poll(NULL, 0, LOG_EVERY_MS);
	if (rc < 0)
		return rc;
	drill->pause_ms = seen.longest_ms;
	drill->failed = seen.failed;
	if (seen.last_ack_ms < until_ms)
		return err_set(err, -ETIMEDOUT, "the probe gets no answers: its last one is %" PRId64 " ms old", clock_wall_ms() - seen.last_ack_ms);
	return 0;
}

static void print_drill(const struct drill *d, const char *complaint)
{
	int64_t begin_ms = json_integer_value(json_object_get(json_array_get(d->steps, 0), "at_ms"));
	const json_t *step;
	size_t i;

	printf("%s: %s, now served by %s\n", d->group, d->crash ? "its owner was fenced" : "moved", d->error ? "nobody knows" : d->to);
	json_array_foreach (d->steps, i, step)
		printf("  %6" PRId64 " ms  %s: %s\n", (int64_t)json_integer_value(json_object_get(step, "at_ms")) - begin_ms, json_text(step, "node"),
		       json_text(step, "step"));
	if (d->agent_ms >= 0)
		printf("%s: %" PRId64 " ms\n", d->crash ? "from the fence evidence on" : "from the first step to the last", d->agent_ms);
	if (d->pause_ms >= 0)
		printf("hosts paused for %" PRId64 " ms; %" PRIu64 " of their writes failed\n", d->pause_ms, d->failed);
	if (complaint)
		printf("NOT AS PROMISED: %s\n", complaint);
	else
		printf("as promised: %" PRId64 " ms, at most %" PRId64 "\n", drill_measured_ms(d), drill_limit_ms(d));
}

static enum cli_exit conclude(const struct cli *cli, const struct drill *drill, int history)
{
	_cleanup_free_ char *complaint = drill_complaint(drill);
	json_auto_t *record = drill_json(drill);
	int rc = keep(history, record);

	if (cli->json)
		cli_print_json(record);
	else
		print_drill(drill, complaint);
	if (rc < 0)
		fprintf(stderr, "lunward: %s: %s: not kept: %s\n", cli->verb->name, history_path(cli), strerror(-rc));
	return complaint || rc < 0 ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

static enum cli_exit run(const struct cli *cli, struct drill *drill, json_t **status, int history, struct err *err)
{
	int64_t begin_ms = clock_now_ms(), deadline_ms = begin_ms + cli->timeout_s * INT64_C(1000), end_ms;
	_cleanup_free_ char *from = xstrdup(drill->from), *to = xstrdup(drill->to);
	int rc;

	/* What these names were borrowed from is replaced. */
	drill->group = cli->args[0];
	drill->from = from;
	drill->to = to;
	drill->at_ms = clock_wall_ms();
	rc = drill->crash ? fence(cli, drill, err) : move(cli, drill, status, err);
	/* Refused: nothing has happened that would be worth keeping. */
	if (rc < 0 && (drill->crash || (cli_exit_of(rc) != CLI_EXIT_FAILED && rc != -ETIMEDOUT)))
		return cli_fail(cli, err);
	if (drill->crash)
		rc = wait_taken_over(cli, drill, deadline_ms, status, err);
	drill->command_ms = clock_now_ms() - begin_ms;
	end_ms = clock_wall_ms();
	if (rc == 0 && drill->crash)
		drill->to = json_text(json_group(*status, cli->args[0]), "owner");
	drill->steps = json_object_get(json_object_get(json_group(*status, cli->args[0]), "last_change"), "steps");
	if (rc == 0 && cli->probe_log)
		rc = ask_probe(cli, drill, end_ms, deadline_ms, err);
	drill->agent_ms = drill_agent_ms(drill->steps, drill->crash);
	drill->error = rc < 0 ? err->text : NULL;
	return conclude(cli, drill, history);
}

enum cli_exit cmd_drill(struct cli *cli)
{
	_cleanup_close_ int history = -1;
	struct err err = ERR_INIT;
	json_t *status = NULL;
	struct drill drill;
	enum cli_exit code;

	if (cli_has(cli, CLI_OPTION_HISTORY))
		return show_history(cli);
	if (cli->n_args == 0) {
		fprintf(stderr, "lunward: %s: which GROUP? or --history\n", cli->verb->name);
		return CLI_EXIT_USAGE;
	}
	history = open(history_path(cli), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (history < 0)
		err_errno(&err, -errno, "%s", history_path(cli));
	if (err.code || cli_call(cli, "status", NULL, &status, &err) < 0 || plan(cli, status, &drill, &err) < 0 || check_probe(cli, &err) < 0) {
		code = cli_fail(cli, &err);
	} else {
		code = confirm(cli, &drill);
		if (code == CLI_EXIT_OK)
			code = run(cli, &drill, &status, history, &err);
	}
	json_decref(status);
	return code;
}
