/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the command share: the verb table, the parsed command line, calls to the daemon. */
#ifndef AGENT_CLI_CLI_H
#define AGENT_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define CLI_ARGS_MAX 2
#define CLI_MAPS_MAX 1024
#define CLI_PORTALS_MAX 64

/* Exit codes; lunward(8) documents them, scripts branch on them. */
#define CLI_EXITS(X)                                                                                                   \
	X(OK, 0, "done")                                                                                               \
	X(FAILED, 1, "tried and failed, or not possible now; `check`: this node differs from what it should be; "     \
		     "`import`, `export`: done, but not all of it was kept")                                           \
	X(USAGE, 2, "the command line is wrong")                                                                       \
	X(UNREACHABLE, 3, "no lunwardd here, or no quorum: nothing was changed, or it is not known")                   \
	X(REFUSED, 4, "the input is wrong: a document, a name, a command that this lunwardd does not know")            \
	X(NOT_PERMITTED, 5, "only root, or only group lunward, may do this")                                           \
	X(UNFINISHED, 6, "not finished in time; it goes on, see `lunward status`")
enum cli_exit {
#define X(id, number, text) CLI_EXIT_##id = number,
	CLI_EXITS(X)
#undef X
};

/* Options: one bit each. The first three go with every verb. */
#define CLI_OPTIONS(X)                                                                                                 \
	X(FORMAT, "format", "text|json", "output for people or for programs (default: text)")                          \
	X(SOCKET, "socket", "PATH", "talk to the lunwardd that listens there")                                         \
	X(HELP, "help", NULL, "say how the command or the verb is used")                                               \
	X(VERSION, "version", NULL, "say the version of this program")                                                 \
	X(TIMEOUT, "timeout", "SECONDS", "wait no longer than this")                                                   \
	X(DRY_RUN, "dry-run", NULL, "only say what would change")                                                      \
	X(NO_WAIT, "no-wait", NULL, "do not wait until the nodes have done it, only until they have agreed on it")     \
	X(SECRETS, "secrets", NULL, "show CHAP secrets and fencing passwords (root only)")                             \
	X(WATCH, "watch", NULL, "show it again whenever it changes")                                                   \
	X(YES, "yes", NULL, "vouch without being asked")                                                               \
	X(HTTP, "http", NULL, "answer one HTTP request on standard input")                                             \
	X(FACTS, "facts", "FILE", "judge what was collected elsewhere instead of this node")                           \
	X(DOCUMENT, "document", "FILE", "use the document in FILE, `import`: add to it")                               \
	X(NODE, "node", "NAME", "the storage node it is about")                                                        \
	X(MAP, "map", "MAP", "BACKSTORE=GROUP[/VOLUME][@POOL][,SIZE]: what becomes of it; may be repeated")             \
	X(PORTAL, "portal", "PORTAL", "ADDRESS[/LENGTH@INTERFACE] of a portal; may be repeated")                       \
	X(OUTPUT, "output", "FILE", "write to FILE, which only its owner may read")                                    \
	X(FILES, "files", "DIR", "write the files to DIR")                                                                 \
	X(PROBE_LOG, "probe-log", "FILE", "the log of lunward-probe, as it grows: what hosts see")                     \
	X(CRASH, "crash", NULL, "fence the owner instead of moving the group; asks, or needs --yes")                   \
	X(HISTORY, "history", NULL, "no drill, but what those before have shown")                                      \
	X(HISTORY_FILE, "history-file", "FILE", "where they are kept (/var/lib/lunward/drills.jsonl)")                  \
	X(HOST, "host", "HOST", "only that host of the document, or that initiator")                                   \
	X(VOLUME, "volume", "VOLUME", "only that volume")                                                              \
	X(TARGET, "target", "IQN", "only with that target")
enum cli_option_id {
#define X(id, name, arg, help) CLI_OPTION_##id,
	CLI_OPTIONS(X)
#undef X
	CLI_N_OPTIONS,
};
#define CLI_BIT(id) (1u << CLI_OPTION_##id)

struct cli_option {
	const char *name;
	const char *arg; /* NULL: takes none */
	const char *help;
};
extern const struct cli_option cli_options[CLI_N_OPTIONS];

struct cli;
struct cli_verb {
	const char *name; /* one or two words */
	const char *args; /* "GROUP NODE" */
	const char *summary; /* one line */
	const char *text;    /* more, for `help VERB`; NULL: none */
	enum cli_exit (*run)(struct cli *cli);
	int n_args_min, n_args_max;
	unsigned int options; /* bits, beside the common ones */
	int timeout_s;        /* default; 0: none */
	const char *format;   /* a further --format; NULL: none */
};
extern const struct cli_verb cli_verbs[];
extern const size_t cli_n_verbs;

struct cli {
	const struct cli_verb *verb;
	const char *args[CLI_ARGS_MAX];
	int n_args;
	unsigned int options;
	bool json;
	const char *socket;
	const char *format; /* as written; NULL: not */
	const char *facts, *document, *node, *output, *files, *probe_log, *history_file, *host, *volume, *target;
	const char *maps[CLI_MAPS_MAX], *portals[CLI_PORTALS_MAX];
	size_t n_maps, n_portals;
	int timeout_s;
};

static inline bool cli_has(const struct cli *cli, enum cli_option_id option)
{
	return cli->options & (1u << option);
}

/* parse.c. 0, or CLI_EXIT_USAGE after having said why. */
enum cli_exit cli_parse(struct cli *ret, int argc, char **argv);
const struct cli_verb *cli_find_verb(const char *first, const char *second, int *ret_n_words);
void cli_suggest_verb(const char *first, const char *second); /* "did you mean", on standard error */

/* call.c */
/* One command to the daemon, progress on standard error. args: takes the reference, NULL: none. */
int cli_call(const struct cli *cli, const char *command, json_t *args, json_t **ret_result, struct err *err) must_check;
/* Says what went wrong, as text on standard error and with --format json also on standard output. */
enum cli_exit cli_fail(const struct cli *cli, const struct err *err);
enum cli_exit cli_exit_of(int code);
void cli_print_json(const json_t *value);

/*
 * CLI_EXIT_OK with --yes, or if the next line of standard input is that name, not just a y: a finger that is used to saying yes says it too
 * easily. `ask` tells before what is going to happen, and asks for it. Else it has been said: CLI_EXIT_FAILED for another name, CLI_EXIT_USAGE
 * if nobody is there to ask; `instead` is what is needed then ("--yes is needed").
 */
enum cli_exit cli_confirm(const struct cli *cli, const char *instead, const char *name, void (*ask)(const struct cli *cli, const char *name));

/* verbs */
enum cli_exit cmd_apply(struct cli *cli);
enum cli_exit cmd_config_show(struct cli *cli);
enum cli_exit cmd_status(struct cli *cli);
enum cli_exit cmd_move(struct cli *cli);
enum cli_exit cmd_release(struct cli *cli);
enum cli_exit cmd_confirm_down(struct cli *cli);
enum cli_exit cmd_maintenance(struct cli *cli);
enum cli_exit cmd_check(struct cli *cli);
enum cli_exit cmd_version(struct cli *cli);
enum cli_exit cmd_resource_role(struct cli *cli);
enum cli_exit cmd_resource_promote(struct cli *cli);
enum cli_exit cmd_resource_demote(struct cli *cli);
enum cli_exit cmd_reservation_show(struct cli *cli);
enum cli_exit cmd_reservation_clear(struct cli *cli);
enum cli_exit cmd_session_list(struct cli *cli);
enum cli_exit cmd_session_drop(struct cli *cli);
enum cli_exit cmd_doctor(struct cli *cli);
enum cli_exit cmd_report(struct cli *cli);
enum cli_exit cmd_metrics(struct cli *cli);
enum cli_exit cmd_import(struct cli *cli);
enum cli_exit cmd_export(struct cli *cli);
enum cli_exit cmd_host_show(struct cli *cli);
enum cli_exit cmd_drill(struct cli *cli);
enum cli_exit cmd_help(struct cli *cli);

/* help.c */
void help_print(void);
void help_print_verb(const struct cli_verb *verb);

#endif
