// SPDX-License-Identifier: GPL-2.0-or-later
/* The verbs and options: the one table that parsing, help, man page test and completion test go by. */
#include "agent/cli/cli.h"

const struct cli_option cli_options[CLI_N_OPTIONS] = {
#define X(id, name, arg, help) { name, arg, help },
	CLI_OPTIONS(X)
#undef X
};

const struct cli_verb cli_verbs[] = {
	{ "status", "", 0, 0, CLI_BIT(WATCH) | CLI_BIT(TIMEOUT), "what is served where, and what is wrong",
	  "The first line is the verdict: OK, DEGRADED (everything is served, but something is amiss) or DOWN (something is not\n"
	  "served), the second what to do about it.",
	  10, cmd_status },
	{ "apply", "FILE", 1, 1, CLI_BIT(DRY_RUN) | CLI_BIT(NO_WAIT) | CLI_BIT(TIMEOUT),
	  "make the document in FILE (`-`: standard input) the configuration of the cluster",
	  "Prints what changes. Waits until all nodes that are up have it in force. Applying the same document again changes\n"
	  "nothing. What the document does not name any more is removed.",
	  900, cmd_apply },
	{ "config show", "", 0, 0, CLI_BIT(SECRETS) | CLI_BIT(TIMEOUT), "print the configuration in force",
	  "Secrets are hidden, and what is hidden stays as it is when the document is applied again.", 10, cmd_config_show },
	{ "move", "GROUP NODE", 2, 2, CLI_BIT(TIMEOUT), "have NODE serve GROUP, and wait until it does",
	  "Hosts see a short pause. If NODE cannot take it, the group goes back to where it was and the exit status is 1.",
	  150, cmd_move },
	{ "release", "GROUP", 1, 1, CLI_BIT(TIMEOUT), "have GROUP served by nobody, until it is moved",
	  "For maintenance: hosts get no answer from its volumes meanwhile.", 150, cmd_release },
	{ "node confirm-down", "NODE", 1, 1, CLI_BIT(YES) | CLI_BIT(TIMEOUT), "vouch that NODE is off, where fencing could not prove it",
	  "Another node then serves what NODE served. If NODE is in truth running, both write and data is lost: look at the\n"
	  "machine, not at the network. Asks for the name of the node; without a terminal --yes is needed.",
	  150, cmd_confirm_down },
	{ "check", "", 0, 0, CLI_BIT(TIMEOUT), "compare this node's target with the configuration, change nothing",
	  "Prints the steps that would be needed. The exit status is 1 if there are any.", 60, cmd_check },
	{ "version", "", 0, 0, 0, "print the versions of this program and of the lunwardd here", NULL, 5, cmd_version },
	{ "help", "[VERB]", 0, 2, 0, "say how lunward, or VERB, is used", NULL, 0, cmd_help },
};
const size_t cli_n_verbs = ARRAY_SIZE(cli_verbs);
