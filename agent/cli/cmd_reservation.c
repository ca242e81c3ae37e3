// SPDX-License-Identifier: GPL-2.0-or-later
/* reservation show, reservation clear: the cluster's table of one volume. */
#include <stdio.h>
#include <unistd.h>

#include "agent/cli/cli.h"

static void print_registration(const json_t *reg)
{
	const char *initiator = "", *isid = "", *key = "", *target = "";
	int node = 0, lun = 0, holder = 0, all = 0, waits = 0;

	if (json_unpack((json_t *)(uintptr_t)reg, "{s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:b}", "initiator", &initiator, "isid", &isid, "key",
			&key, "target", &target, "node", &node, "lun", &lun, "holder", &holder, "all_target_ports", &all, "waits_for_move",
			&waits) < 0)
		return;
	printf("  %s%s%s  key %s  LUN %d through node %d's port of %s%s%s%s\n", initiator, isid[0] ? " isid " : "", isid, key, lun, node, target,
	       holder ? ", holds the reservation" : "", all ? ", all target ports" : "", waits ? ", not yet known to the owner" : "");
}

enum cli_exit cmd_reservation_show(struct cli *cli)
{
	json_auto_t *table = NULL;
	const json_t *reg, *list;
	struct err err = ERR_INIT;
	size_t i;

	if (cli_call(cli, "reservation-show", json_pack("{s:s}", "volume", cli->args[0]), &table, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->json) {
		cli_print_json(table);
		return CLI_EXIT_OK;
	}
	list = json_object_get(table, "registrations");
	printf("%s: reservation: %s, version %lld, %zu registrations%s\n", cli->args[0], json_string_value(json_object_get(table, "type")) ?: "?",
	       (long long)json_integer_value(json_object_get(table, "version")), json_array_size(list),
	       json_is_true(json_object_get(table, "in_step")) ? "" : ", this node's target is not yet in step");
	json_array_foreach (list, i, reg)
		print_registration(reg);
	return CLI_EXIT_OK;
}

enum cli_exit cmd_reservation_clear(struct cli *cli)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;

	if (!cli_has(cli, CLI_OPTION_YES)) {
		fprintf(stderr, "lunward: %s: hosts that rely on the reservation to keep others from writing are not asked: needs --yes\n",
			cli->verb->name);
		return CLI_EXIT_USAGE;
	}
	if (cli_call(cli, "reservation-clear", json_pack("{s:s}", "volume", cli->args[0]), &result, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->json)
		cli_print_json(result);
	else
		printf("%s: all reservations and registrations are removed; hosts have to register again\n", cli->args[0]);
	return CLI_EXIT_OK;
}
