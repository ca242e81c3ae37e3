// SPDX-License-Identifier: GPL-2.0-or-later
/* The verbs and options: the one table that parsing, help, man page test and completion test go by. */
#include "agent/cli/cli.h"

const struct cli_option cli_options[CLI_N_OPTIONS] = {
#define X(id, name, arg, help) { name, arg, help },
	CLI_OPTIONS(X)
#undef X
};

const struct cli_verb cli_verbs[] = {
	{ .name = "status", .args = "", .run = cmd_status, .timeout_s = 10, .options = CLI_BIT(WATCH) | CLI_BIT(TIMEOUT),
	  .summary = "what is served where, and what is wrong",
	  .text = "The first line is the verdict: OK, DEGRADED (everything is served, but something is amiss) or DOWN (something is\n"
		  "not served), the second what to do about it." },
	{ .name = "apply", .args = "FILE", .n_args_min = 1, .n_args_max = 1, .run = cmd_apply, .timeout_s = 900,
	  .options = CLI_BIT(DRY_RUN) | CLI_BIT(NO_WAIT) | CLI_BIT(TIMEOUT),
	  .summary = "make the document in FILE (`-`: standard input) the configuration of the cluster",
	  .text = "Prints what changes. Waits until all nodes that are up have it in force. Applying the same document again changes\n"
		  "nothing. What the document does not name any more is removed." },
	{ .name = "config show", .args = "", .run = cmd_config_show, .timeout_s = 10,
	  .options = CLI_BIT(SECRETS) | CLI_BIT(TIMEOUT),
	  .summary = "print the configuration in force",
	  .text = "Secrets are hidden, and what is hidden stays as it is when the document is applied again." },
	{ .name = "move", .args = "GROUP NODE", .n_args_min = 2, .n_args_max = 2, .run = cmd_move, .timeout_s = 150,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "have NODE serve GROUP, and wait until it does",
	  .text = "Hosts see a short pause. If NODE cannot take it, the group goes back to where it was and the exit status is 1." },
	{ .name = "release", .args = "GROUP", .n_args_min = 1, .n_args_max = 1, .run = cmd_release, .timeout_s = 150,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "have GROUP served by nobody, until it is moved",
	  .text = "For maintenance: hosts get no answer from its volumes meanwhile." },
	{ .name = "node confirm-down", .args = "NODE", .n_args_min = 1, .n_args_max = 1, .run = cmd_confirm_down, .timeout_s = 150,
	  .options = CLI_BIT(YES) | CLI_BIT(TIMEOUT),
	  .summary = "vouch that NODE is off, where fencing could not prove it",
	  .text = "Another node then serves what NODE served. If NODE is in truth running, both write and data is lost: look at the\n"
		  "machine, not at the network. Asks for the name of the node; without a terminal --yes is needed." },
	{ .name = "node maintenance", .args = "NODE STATE", .n_args_min = 2, .n_args_max = 2, .run = cmd_maintenance, .timeout_s = 1800,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "have NODE (self: this one) give its groups away and get none: on, until-restart; off: it may serve again",
	  .text = "Moves one group after the other, then hands the portals over, and waits until NODE serves nothing; then it can be shut\n"
		  "down and no host notices. What no other node can take goes on being served there, and the exit status is 1. `off`\n"
		  "moves no group back." },
	{ .name = "reservation show", .args = "VOLUME", .n_args_min = 1, .n_args_max = 1, .run = cmd_reservation_show, .timeout_s = 10,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "print who has registered for VOLUME and who has reserved it, as all nodes keep it" },
	{ .name = "reservation clear", .args = "VOLUME", .n_args_min = 1, .n_args_max = 1, .run = cmd_reservation_clear, .timeout_s = 150,
	  .options = CLI_BIT(YES) | CLI_BIT(TIMEOUT),
	  .summary = "remove all reservations and registrations of VOLUME",
	  .text = "For what hosts that are gone have left behind. Hosts that still rely on the reservation are not asked: what it kept out\n"
		  "can write at once. They have to register again. Needs --yes." },
	{ .name = "session list", .args = "", .run = cmd_session_list, .timeout_s = 20,
	  .options = CLI_BIT(HOST) | CLI_BIT(VOLUME) | CLI_BIT(TIMEOUT),
	  .summary = "print which hosts are logged in at this node, and what was read and written here",
	  .text = "This node only: each tells of itself. The kernel shows of several sessions that one initiator has with one portal group\n"
		  "the last, and neither since when nor which digests: what is printed is since when lunwardd has seen it, and what the\n"
		  "target offers. What is read and written is counted since the kernel's objects were made: from zero after a restart." },
	{ .name = "session drop", .args = "HOST", .n_args_min = 1, .n_args_max = 1, .run = cmd_session_drop, .timeout_s = 30,
	  .options = CLI_BIT(TARGET) | CLI_BIT(YES) | CLI_BIT(TIMEOUT),
	  .summary = "cut the sessions of HOST (or an initiator) with this node; it may log in again at once",
	  .text = "For a login that is stale. Commands under way get no answer; a host with another path goes on there. Changes no\n"
		  "configuration. Sessions over iSER cannot be cut: only the host can end them. Asks for the name of the host; without a\n"
		  "terminal --yes is needed." },
	{ .name = "check", .args = "", .run = cmd_check, .timeout_s = 60, .options = CLI_BIT(TIMEOUT),
	  .summary = "compare this node's target with the configuration, change nothing",
	  .text = "Prints the steps that would be needed. The exit status is 1 if there are any." },
	{ .name = "doctor", .args = "", .run = cmd_doctor, .timeout_s = 10, .options = CLI_BIT(FACTS) | CLI_BIT(TIMEOUT),
	  .summary = "look for what would go wrong some day: cluster, fencing, network, storage",
	  .text = "Before going live, and any time after, on each node. Changes nothing. Each finding says what to do. The exit status is\n"
		  "1 if there are errors." },
	{ .name = "report", .args = "FILE", .n_args_min = 1, .n_args_max = 1, .run = cmd_report, .timeout_s = 20,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "collect logs and states of this node into FILE (.tar.gz), without secrets" },
	{ .name = "drill", .args = "[GROUP]", .n_args_max = 1, .run = cmd_drill, .timeout_s = 300,
	  .options = CLI_BIT(PROBE_LOG) | CLI_BIT(CRASH) | CLI_BIT(YES) | CLI_BIT(HISTORY) | CLI_BIT(HISTORY_FILE) | CLI_BIT(TIMEOUT),
	  .summary = "move GROUP to its spare, compare what that took with what is promised, and keep it",
	  .text = "With --crash the owner is fenced and stays off. With --history: how long all drills took so far. The exit status is 1 if\n"
		  "the drill failed, or took longer than is promised." },
	{ .name = "metrics", .args = "", .run = cmd_metrics, .timeout_s = 4, .options = CLI_BIT(HTTP) | CLI_BIT(TIMEOUT),
	  .summary = "print the status as Prometheus text" },
	{ .name = "resource role", .args = "GROUP", .n_args_min = 1, .n_args_max = 1, .run = cmd_resource_role, .timeout_s = 8,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "print what this node is for GROUP, for Pacemaker's resource agent",
	  .text = "owner (hosts can use it here and reads come back), broken (they should and cannot), changing, spare (could take over),\n"
		  "stale (could not) or none (no copy here); then its placement." },
	{ .name = "resource promote", .args = "GROUP", .n_args_min = 1, .n_args_max = 1, .run = cmd_resource_promote, .timeout_s = 150,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "have this node serve GROUP, which Pacemaker places" },
	{ .name = "resource demote", .args = "GROUP", .n_args_min = 1, .n_args_max = 1, .run = cmd_resource_demote, .timeout_s = 150,
	  .options = CLI_BIT(TIMEOUT),
	  .summary = "have this node serve GROUP no more, which Pacemaker places" },
	{ .name = "host show", .args = "HOST", .n_args_min = 1, .n_args_max = 1, .run = cmd_host_show, .timeout_s = 10,
	  .options = CLI_BIT(FILES) | CLI_BIT(SECRETS) | CLI_BIT(DOCUMENT) | CLI_BIT(TIMEOUT),
	  .summary = "print the settings that HOST needs, and the bounds they keep",
	  .text = "By the host's profile: files and commands for linux, commands for esxi and windows." },
	{ .name = "import", .args = "FILE", .n_args_min = 1, .n_args_max = 1, .run = cmd_import,
	  .options = CLI_BIT(DOCUMENT) | CLI_BIT(NODE) | CLI_BIT(MAP) | CLI_BIT(PORTAL) | CLI_BIT(OUTPUT),
	  .summary = "print a document made of targetcli's saveconfig.json or SCST's scst.conf",
	  .text = "Applies nothing. What the document has no word for is listed on standard error, by object, and the exit status is 1\n"
		  "then. The document has secrets: --output makes a file that only its owner may read." },
	{ .name = "export", .args = "", .run = cmd_export, .timeout_s = 10, .format = "targetcli",
	  .options = CLI_BIT(DOCUMENT) | CLI_BIT(NODE) | CLI_BIT(OUTPUT) | CLI_BIT(TIMEOUT),
	  .summary = "print a saveconfig.json for targetcli of what this node has",
	  .text = "For a node without Lunward. Root only: it has the secrets. What targetcli has no word for is listed on standard error;\n"
		  "the exit status is 1 if something is left out." },
	{ .name = "version", .args = "", .run = cmd_version, .timeout_s = 5,
	  .summary = "print the versions of this program and of the lunwardd here" },
	{ .name = "help", .args = "[VERB]", .n_args_max = 2, .run = cmd_help, .summary = "say how lunward, or VERB, is used" },
};
const size_t cli_n_verbs = ARRAY_SIZE(cli_verbs);
