// SPDX-License-Identifier: GPL-2.0-or-later
/* session list, session drop: hosts at this node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cli/cli.h"
#include "agent/cli/json.h"
#include "agent/cli/page.h"
#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config.h"

#define NAME_WIDTH_MAX 32

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

/* "2026-11-21 20:15:03", local time */
static void print_time(const json_t *session, char *ret, size_t size)
{
	time_t at = (time_t)(number(session, "seen_since_ms") / 1000);
	struct tm tm;

	ret[0] = '\0';
	if (at > 0 && localtime_r(&at, &tm))
		(void)strftime(ret, size, "%F %T", &tm);
}

static void add_list(struct strbuf *sb, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		strbuf_addf(sb, "%s%s", i ? ", " : "", json_is_string(item) ? json_string_value(item) : "?");
}

static void connections(struct page *page, const json_t *session)
{
	const json_t *list = json_object_get(session, "connections"), *c;
	size_t i;

	json_array_foreach (list, i, c) {
		_cleanup_strbuf_ struct strbuf sb = { 0 };

		strbuf_addf(&sb, "connection %lld from %s over %s", number(c, "cid"), json_text(c, "address"),
			    strcmp(json_text(c, "transport"), "tcp") == 0 ? "TCP" : "iSER");
		if (strcmp(json_text(c, "state"), "LOGGED_IN") != 0)
			strbuf_addf(&sb, ", %s", json_text(c, "state"));
		page_add(page, 6, PAGE_PLAIN, "   ", "%s", strbuf_str(&sb));
	}
	if (json_array_size(list) == 0)
		page_add(page, 6, PAGE_WARN, "    no connection", "%s", "");
}

static void negotiated(struct page *page, const json_t *session)
{
	const json_t *digests = json_object_get(session, "digests_offered"), *counters = json_object_get(session, "counters");
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(session, "parameters"), name, value)
		strbuf_addf(&sb, "%s%s %lld", sb.len ? ", " : "", name, (long long)json_integer_value(value));
	if (sb.len)
		page_add(page, 6, PAGE_PLAIN, "    negotiated:", "%s", strbuf_str(&sb));
	page_add(page, 6, PAGE_PLAIN, "    digests offered:", "header %s; data %s", json_text(digests, "header"), json_text(digests, "data"));
	if (number(counters, "conn_digest_errors") || number(counters, "conn_timeout_errors"))
		page_add(page, 6, PAGE_WARN, "    errors:", "%lld digests, %lld timeouts", number(counters, "conn_digest_errors"),
			 number(counters, "conn_timeout_errors"));
}

static int name_width(const json_t *list)
{
	size_t i, width = strlen("volume");
	const json_t *item;

	json_array_foreach (list, i, item)
		width = MAX(width, strlen(json_text(item, "volume")));
	return (int)MIN(width, (size_t)NAME_WIDTH_MAX);
}

/* A table: the first column is the LUN, if there is one. */
static void io_lines(struct page *page, const json_t *list, bool has_lun, bool has_resets)
{
	int width = name_width(list), indent = has_lun ? 4 : 2;
	_cleanup_free_ char *head = xasprintf("%*s%s%-*s %12s %10s %11s%s", indent, "", has_lun ? "LUN   " : "", width, "volume", "commands",
					      "MiB read", "MiB written", has_resets ? " resets" : "");
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	page_add(page, 0, PAGE_PLAIN, head, "%s", "");
	json_array_foreach (list, i, item) {
		_cleanup_free_ char *lun = has_lun ? xasprintf("%-6lld", number(item, "lun")) : xstrdup("");
		_cleanup_free_ char *resets = has_resets ? xasprintf(" %6lld", number(item, "resets")) : xstrdup("");
		_cleanup_free_ char *row = xasprintf("%*s%s%-*s %12lld %10lld %11lld%s", indent, "", lun, width, json_text(item, "volume"),
						     number(item, "commands"), number(item, "read_mib"), number(item, "written_mib"), resets);

		page_add(page, 0, PAGE_PLAIN, row, "%s", "");
	}
}

static void session_lines(struct page *page, const json_t *session)
{
	_cleanup_strbuf_ struct strbuf portals = { 0 };
	_cleanup_free_ char *lead = NULL;
	const char *host = json_text(session, "host"), *alias = json_text(session, "alias"), *state = json_text(session, "state");
	char since[64];

	print_time(session, since, sizeof(since));
	add_list(&portals, json_object_get(session, "portals"));
	lead = xstrdup(host[0] ? host : "no host of the document");
	page_add(page, 2, PAGE_BOLD, lead, " %s%s%s", json_text(session, "initiator"), alias[0] ? ", alias " : "", alias);
	page_add(page, 4, PAGE_PLAIN, "  with", "%s, port of %s (%s)", json_text(session, "target"), json_text(session, "port_of"),
		 strbuf_str(&portals));
	if (json_text(session, "isid")[0])
		page_add(page, 4, strcmp(state, "LOGGED_IN") == 0 ? PAGE_PLAIN : PAGE_WARN, "   ", "session %lld, ISID %s, TSIH %lld, %s",
			 number(session, "session_id"), json_text(session, "isid"), number(session, "tsih"), state);
	else
		page_add(page, 4, PAGE_PLAIN, "   ", "by %s, %s", config_fabric_of_target(json_text(session, "target"))->title, state);
	if (since[0])
		page_add(page, 4, PAGE_PLAIN, "    seen since", "%s", since);
	connections(page, session);
	negotiated(page, session);
	io_lines(page, json_object_get(session, "luns"), true, false);
}

static void volume_lines(struct page *page, const json_t *volumes)
{
	if (json_array_size(volumes) == 0)
		return;
	page_blank(page);
	page_add(page, 0, PAGE_BOLD, "Volumes, by all paths of this node", "%s", "");
	io_lines(page, volumes, false, true);
}

static void hidden_lines(struct page *page, const json_t *targets)
{
	const json_t *target;
	size_t i;

	json_array_foreach (targets, i, target) {
		if (number(target, "sessions") > number(target, "shown"))
			page_add(page, 2, PAGE_WARN, "Not shown:", "%s has %lld sessions, of which the kernel shows %lld: of several of one initiator "
				 "only the last", json_text(target, "target"), number(target, "sessions"), number(target, "shown"));
	}
}

static void print_list(const json_t *answer)
{
	struct page page = { .width = PAGE_WIDTH };
	const json_t *sessions = json_object_get(answer, "sessions"), *session;
	size_t i;

	json_array_foreach (sessions, i, session) {
		if (i)
			page_blank(&page);
		session_lines(&page, session);
	}
	if (json_array_size(sessions) == 0)
		page_add(&page, 2, PAGE_PLAIN, "No session with", "%s", json_text(answer, "node"));
	hidden_lines(&page, json_object_get(answer, "targets"));
	volume_lines(&page, json_object_get(answer, "volumes"));
	fputs(strbuf_str(&page.text), stdout);
	strbuf_done(&page.text);
}

enum cli_exit cmd_session_list(struct cli *cli)
{
	json_auto_t *answer = NULL;
	json_t *args = json_object();
	struct err err = ERR_INIT;

	if (cli->host)
		json_object_set_new(args, "host", json_string(cli->host));
	if (cli->volume)
		json_object_set_new(args, "volume", json_string(cli->volume));
	if (cli_call(cli, "session-list", args, &answer, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->json)
		cli_print_json(answer);
	else
		print_list(answer);
	return CLI_EXIT_OK;
}

static void ask_drop(const struct cli *cli, const char *host)
{
	fprintf(stderr, "You are about to cut %s off from this node%s%s. Commands under way get no\n"
		"answer: unless it has another path, what runs there sees I/O stop until the host\n"
		"has logged in again.\n\nType its name to go on: ", host, cli->target ? "'s " : "", cli->target ? cli->target : "");
}

enum cli_exit cmd_session_drop(struct cli *cli)
{
	json_auto_t *answer = NULL;
	const char *host = cli->args[0];
	enum cli_exit confirmed = cli_confirm(cli, "--yes is needed", host, ask_drop);
	json_t *args;
	struct err err = ERR_INIT;
	long long n;

	if (confirmed != CLI_EXIT_OK)
		return confirmed;
	args = json_pack("{s:s}", "host", host);
	if (cli->target)
		json_object_set_new(args, "target", json_string(cli->target));
	if (cli_call(cli, "session-drop", args, &answer, &err) < 0)
		return cli_fail(cli, &err);
	n = number(answer, "dropped");
	if (cli->json)
		cli_print_json(answer);
	else
		printf("%s: %lld session%s dropped\n", host, n, n == 1 ? "" : "s");
	return CLI_EXIT_OK;
}
