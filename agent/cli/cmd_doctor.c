// SPDX-License-Identifier: GPL-2.0-or-later
/* doctor: is this node fit to go live, and still? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/doctor.h"
#include "agent/cli/page.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

static json_t *collect(const struct cli *cli)
{
	json_auto_t *status = NULL, *shown = NULL;
	struct err err = ERR_INIT;

	/* What the daemon cannot say is a finding, not a failure. */
	ignore_result(cli_call(cli, "status", NULL, &status, &err));
	if (status)
		ignore_result(cli_call(cli, "config-show", json_pack("{s:b}", "secrets", 0), &shown, &err));
	return doctor_facts(status, json_object_get(shown, "document"));
}

static size_t count(const json_t *findings, const char *result)
{
	const json_t *finding;
	size_t i, n = 0;

	json_array_foreach (findings, i, finding)
		n += strcmp(json_string_value(json_object_get(finding, "result")), result) == 0;
	return n;
}

static void show(const json_t *findings, const char *result, enum page_colour colour)
{
	struct page page = { .width = PAGE_WIDTH };
	const json_t *finding;
	size_t i;

	json_array_foreach (findings, i, finding) {
		const char *remedy = json_string_value(json_object_get(finding, "remedy"));
		char lead[64];

		if (strcmp(json_string_value(json_object_get(finding, "result")), result) != 0)
			continue;
		snprintf(lead, sizeof(lead), "%s:", json_string_value(json_object_get(finding, "name")));
		page_add(&page, 4, colour, result, "%s %s", lead, json_string_value(json_object_get(finding, "detail")));
		if (remedy[0])
			page_add(&page, 8, PAGE_BOLD, "    do:", "%s", remedy);
	}
	fputs(strbuf_str(&page.text), stdout);
	strbuf_done(&page.text);
}

enum cli_exit cmd_doctor(struct cli *cli)
{
	json_auto_t *facts = NULL, *findings = NULL, *both = NULL;
	json_error_t where;
	struct err err = ERR_INIT;

	if (cli->facts) {
		facts = json_load_file(cli->facts, JSON_REJECT_DUPLICATES, &where);
		if (!facts) {
			err_set(&err, -EINVAL, "%s: line %d: %s", cli->facts, where.line, where.text);
			return cli_fail(cli, &err);
		}
		/* What --format json wrote is taken as it is. */
		if (json_object_get(facts, "facts")) {
			json_t *inner = json_incref(json_object_get(facts, "facts"));

			json_decref(facts);
			facts = inner;
		}
	} else {
		facts = collect(cli);
	}
	findings = doctor_judge(facts);
	if (cli->json) {
		both = json_pack("{s:O, s:O}", "findings", findings, "facts", facts);
		cli_print_json(both);
	} else {
		show(findings, "error", PAGE_BAD);
		show(findings, "warning", PAGE_WARN);
		show(findings, "unknown", PAGE_PLAIN);
		show(findings, "ok", PAGE_GOOD);
		printf("%zu errors, %zu warnings, %zu not known, %zu ok\n", count(findings, "error"), count(findings, "warning"),
		       count(findings, "unknown"), count(findings, "ok"));
	}
	return count(findings, "error") ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
