// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define HEALTH_PROGRAM LUNWARD_LIBEXECDIR "/lunward-health"
#define START_WAIT_MAX_S 3600
/* Shorter than it takes to agree on who is left, and the loss of one node would reset the others. */
#define WATCHDOG_TIMEOUT_MIN_S 5
#define WATCHDOG_TIMEOUT_MAX_S 600

static const char usage[] =
	"Usage: lunwardd [OPTION]...\n"
	"Keeps the LUNs of a Corosync cluster served when a node dies. Usually run by systemd.\n"
	"\n"
	"  --log-level LEVEL    err, warning, notice, info (default) or debug\n"
	"  --state-dir DIR      what must survive a power cut (default /var/lib/lunward)\n"
	"  --run-dir DIR        control socket and run-time files (default /run/lunward)\n"
	"  --configfs PATH      the kernel target's tree (default /sys/kernel/config/target)\n"
	"  --fence-dir DIR      where fence agents are (default /usr/sbin)\n"
	"  --health PROGRAM|off what looks at this node's portals as a host does (default " HEALTH_PROGRAM ")\n"
	"  --start-wait SECONDS how long after its start nodes that were not seen yet are not fenced (default 60)\n"
	"  --watchdog-device DEVICE  a watchdog that resets this node when it is cut off, e.g. /dev/watchdog (default: none)\n"
	"  --watchdog-timeout SECONDS  after which it does, 5 to 600 (default 15)\n"
	"  --trace FILE         what the state machine is told and answers, for tests and bug reports (holds secrets)\n"
	"  --help, --version\n";

static int parse_level(const char *name, enum log_level *ret_level)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = { { "err", LOG_LEVEL_ERR },
		       { "warning", LOG_LEVEL_WARNING },
		       { "notice", LOG_LEVEL_NOTICE },
		       { "info", LOG_LEVEL_INFO },
		       { "debug", LOG_LEVEL_DEBUG } };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(levels[i].name, name) == 0) {
			*ret_level = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_seconds(const char *text, int min, int max, int *ret_s)
{
	char *end;
	unsigned long s = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || s < (unsigned long)min || s > (unsigned long)max)
		return -EINVAL;
	*ret_s = (int)s;
	return 0;
}

int settings_parse(struct settings *ret, int argc, char **argv, struct err *err)
{
	enum {
		OPT_LEVEL = 1,
		OPT_STATE,
		OPT_RUN,
		OPT_CONFIGFS,
		OPT_FENCE,
		OPT_HEALTH,
		OPT_START_WAIT,
		OPT_WATCHDOG,
		OPT_WATCHDOG_TIMEOUT,
		OPT_TRACE,
		OPT_HELP,
		OPT_VERSION
	};
	static const struct option options[] = {
		{ "log-level", required_argument, NULL, OPT_LEVEL }, { "state-dir", required_argument, NULL, OPT_STATE },
		{ "run-dir", required_argument, NULL, OPT_RUN },     { "configfs", required_argument, NULL, OPT_CONFIGFS },
		{ "fence-dir", required_argument, NULL, OPT_FENCE }, { "trace", required_argument, NULL, OPT_TRACE },
		{ "health", required_argument, NULL, OPT_HEALTH },   { "start-wait", required_argument, NULL, OPT_START_WAIT },
		{ "watchdog-device", required_argument, NULL, OPT_WATCHDOG },
		{ "watchdog-timeout", required_argument, NULL, OPT_WATCHDOG_TIMEOUT },
		{ "help", no_argument, NULL, OPT_HELP },	     { "version", no_argument, NULL, OPT_VERSION },
		{ 0 },
	};
	int opt;

	*ret = (struct settings){ .state_dir = "/var/lib/lunward",
				  .run_dir = "/run/lunward",
				  .configfs = "/sys/kernel/config/target",
				  .fence_dir = "/usr/sbin",
				  .health = HEALTH_PROGRAM,
				  .watchdog_timeout_s = 15,
				  .log_level = LOG_LEVEL_INFO,
				  .start_wait_s = 60,
				  .job_deadline_ms = 30000,
				  .provision_deadline_ms = 600000,
				  .threads = 16 };
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (opt) {
		case OPT_LEVEL:
			if (parse_level(optarg, &ret->log_level) < 0)
				return err_set(err, -EINVAL, "--log-level: no level \"%s\"; see --help", optarg);
			break;
		case OPT_STATE:
			ret->state_dir = optarg;
			break;
		case OPT_RUN:
			ret->run_dir = optarg;
			break;
		case OPT_CONFIGFS:
			ret->configfs = optarg;
			break;
		case OPT_FENCE:
			ret->fence_dir = optarg;
			break;
		case OPT_HEALTH:
			if (strcmp(optarg, "off") != 0 && optarg[0] != '/')
				return err_set(err, -EINVAL, "--health: neither a path from / on nor off: %s", optarg);
			ret->health = optarg[0] == '/' ? optarg : NULL;
			break;
		case OPT_START_WAIT:
			if (parse_seconds(optarg, 0, START_WAIT_MAX_S, &ret->start_wait_s) < 0)
				return err_set(err, -EINVAL, "--start-wait: not a number of seconds up to %d: %s", START_WAIT_MAX_S, optarg);
			break;
		case OPT_WATCHDOG:
			ret->watchdog_device = optarg;
			break;
		case OPT_WATCHDOG_TIMEOUT:
			if (parse_seconds(optarg, WATCHDOG_TIMEOUT_MIN_S, WATCHDOG_TIMEOUT_MAX_S, &ret->watchdog_timeout_s) < 0)
				return err_set(err, -EINVAL, "--watchdog-timeout: not a number from %d to %d: %s", WATCHDOG_TIMEOUT_MIN_S,
					       WATCHDOG_TIMEOUT_MAX_S, optarg);
			break;
		case OPT_TRACE:
			ret->trace = optarg;
			break;
		case OPT_HELP:
			fputs(usage, stdout);
			return 1;
		case OPT_VERSION:
			puts("lunwardd " LUNWARD_VERSION);
			return 1;
		default:
			return err_set(err, -EINVAL, "unknown option or missing value: %s; see --help", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return err_set(err, -EINVAL, "unexpected argument: %s; see --help", argv[optind]);
	return 0;
}
