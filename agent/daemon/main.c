// SPDX-License-Identifier: GPL-2.0-or-later
/* lunwardd: start in order, run, stop. Stopping leaves the kernel as it is: hosts notice nothing. */
#include <errno.h>
#include <execinfo.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/health.h"
#include "agent/daemon/node_watchdog.h"
#include "agent/daemon/reservations.h"
#include "agent/daemon/store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define ELECTORATE_RETRY_S 1
#define ARENAS_MAX 1
#define LEAVE_LIMIT_MS 2000 /* a state is written in milliseconds; a job that takes longer is no reason to stay */

static struct loop_timer watchdog_timer; /* fires for the life of the process */

struct watchdog {
	struct loop *loop;
	int64_t interval_ms;
};

static void feed_watchdog(void *ctx)
{
	struct watchdog *watchdog = ctx;

	sd_notify(0, "WATCHDOG=1");
	loop_timer_set(watchdog->loop, &watchdog_timer, clock_now_ms() + watchdog->interval_ms, feed_watchdog, watchdog);
}

/* The loop feeds it, so a loop that hangs is restarted; workers that hang are reported instead. */
static void start_watchdog(struct watchdog *watchdog, struct loop *loop)
{
	uint64_t limit_us;

	if (sd_watchdog_enabled(0, &limit_us) <= 0)
		return;
	*watchdog = (struct watchdog){ loop, (int64_t)(limit_us / 3000) };
	feed_watchdog(watchdog);
}

/*
 * The watchdog ends a loop that hangs by SIGABRT (systemd.service(5), WatchdogSignal=), which comes to the loop's thread. Without a dump, since
 * secrets are in memory, this is all that tells where it hung: offsets for addr2line and the debug symbols.
 */
static void say_where(int signo)
{
	static const char headline[] = "aborted here:\n";
	void *frames[32];

	if (write(STDERR_FILENO, headline, sizeof(headline) - 1) > 0)
		backtrace_symbols_fd(frames, backtrace(frames, ARRAY_SIZE(frames)), STDERR_FILENO);
	(void)raise(signo); /* by SA_RESETHAND the default action */
}

static void watch_aborts(void)
{
	struct sigaction action = { .sa_handler = say_where, .sa_flags = (int)SA_RESETHAND };
	void *frame;

	(void)backtrace(&frame, 1); /* loads the unwinder: not safe in a handler, see backtrace(3) */
	(void)sigaction(SIGABRT, &action, NULL);
}

/* Hosts are told what to expect of this node's ports first (roles.h); asked twice, they are not. */
static void stop(void *ctx)
{
	struct agent *agent = ctx;

	sd_notify(0, "STOPPING=1");
	if (agent->leave_by_ms)
		loop_stop(agent->loop);
	agent->leave_by_ms = clock_now_ms() + LEAVE_LIMIT_MS;
}

static uint64_t random_incarnation(void)
{
	uint64_t value = 0;

	if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		value = (uint64_t)clock_now_us();
	return value;
}

/* Corosync may start after us, or be down for now: that is no reason to give up, only to wait. */
static int wait_for_electorate(struct ha_settings *ret)
{
	struct err err = ERR_INIT, last = ERR_INIT;
	struct timespec pause = { .tv_sec = ELECTORATE_RETRY_S };

	while (cluster_electorate(ret, &err) < 0) {
		if (strcmp(err.text, last.text) != 0)
			log_warning("waiting for Corosync: %s", err.text);
		last = err;
		sd_notifyf(0, "WATCHDOG=1\nSTATUS=waiting for Corosync: %s", err.text);
		if (nanosleep(&pause, NULL) < 0 && errno == EINTR)
			return -EINTR; /* asked to stop */
	}
	return 0;
}

static int start_core(struct agent *agent, struct ha_settings *settings, struct err *err)
{
	char *data = NULL;
	size_t size = 0;
	int rc = store_load(agent, &data, &size, err);

	if (rc < 0)
		return rc;
	settings->incarnation = random_incarnation();
	if (agent->settings.trace) {
		rc = trace_open(agent->settings.trace, settings, &agent->trace, err);
		if (rc < 0) {
			free(data);
			return rc;
		}
	}
	agent->nodeid = settings->nodeid;
	agent->core = ha_core_new(settings);
	agent_step(agent, &(struct ha_event){ .type = HA_EV_START, .data = data, .size = size });
	free(data);
	agent_take_config(agent);
	return 0;
}

static int run(struct agent *agent, struct err *err)
{
	struct ha_settings core_settings = { .install_wait_ms = 2000, .away_limit_ms = 30000, .fence_retry_ms = 10000,
					     .calm_ms = 600000, .start_wait_ms = (int64_t)agent->settings.start_wait_s * 1000,
					     .lease_interval_ms = 1000, .lease_max_ms = 2000 };
	struct watchdog watchdog;
	int rc;

	sd_notify(0, "READY=1\nSTATUS=waiting for Corosync");
	if (wait_for_electorate(&core_settings) < 0)
		return 0;
	rc = start_core(agent, &core_settings, err);
	if (rc < 0)
		return rc;
	node_watchdog_start(agent);
	agent->cluster = cluster_new(agent);
	rc = commands_start(agent, err);
	if (rc < 0)
		return rc;
	reservations_start(agent);
	health_start(agent);
	if (loop_signal_add(agent->loop, SIGTERM, stop, agent) < 0 ||
	    loop_signal_add(agent->loop, SIGINT, stop, agent) < 0)
		return err_set(err, -ENOMEM, "cannot watch signals");
	start_watchdog(&watchdog, agent->loop);
	sd_notifyf(0, "STATUS=node %u, %zu nodes in the cluster", agent->nodeid, core_settings.n_electorate);
	loop_run(agent->loop, agent_turn, agent);
	node_watchdog_stop(agent);
	return 0;
}

int main(int argc, char **argv)
{
	struct agent *agent = xcalloc(1, sizeof(*agent));
	struct err err = ERR_INIT;
	int rc = settings_parse(&agent->settings, argc, argv, &err);

	if (rc > 0)
		return EXIT_SUCCESS;
	if (rc < 0) {
		fprintf(stderr, "lunwardd: %s\n", err.text);
		return 2;
	}
	log_set_level(agent->settings.log_level);
	signal(SIGPIPE, SIG_IGN);
	/* Threads that meet in malloc() get a heap each, up to eight for each processor, which stays when they have ended (mallopt(3)): workers
	 * come by the dozen when groups start, and at rest there is none. */
	(void)mallopt(M_ARENA_MAX, ARENAS_MAX);
	watch_aborts();
	prctl(PR_SET_DUMPABLE, 0); /* secrets are in memory */
	/* A daemon that has to page in its code from a disk it is about to fence would not get far. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		log_info("memory is not locked: %s", strerror(errno));
	agent->drbd_fd = agent->drbd_pid = -1;
	agent->queue_tail = &agent->queue;
	agent->drbd = drbd_table_new();
	agent->loop = loop_new();
	rc = run(agent, &err);
	if (rc < 0)
		log_err("%s", err.text);
	cluster_free(agent->cluster);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
