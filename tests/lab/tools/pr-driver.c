// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hosts that speak of persistent reservations, without a SCSI layer that repeats, sorts or waits: what is sent and what is answered, and
 * when, is told line by line.
 *
 *	pr-driver [--strict] [--timeout-ms N] <SCRIPT
 *
 * Each line of the script is "WORKER NEXUS VERB [ARGUMENT...]". Workers run at the same time, each its own lines in their order; a nexus is a
 * session of its worker. With --strict a worker ends at the first command that is not answered GOOD. Verbs:
 *
 *	login ADDRESS:PORT TARGET-IQN INITIATOR-IQN LUN	tried again until the time is up; an earlier session is dropped
 *	prout SERVICE-ACTION TYPE KEY SA-KEY [ALL-TG-PT]	register reserve release clear preempt preempt-abort register-ignore
 *	keys, reservation					PERSISTENT RESERVE IN
 *	read, write						one block, LBA 1
 *	flood DEPTH COUNT					writes until COUNT are GOOD or one is anything else, DEPTH at a time
 *	sleep MS						serving NOPs
 *
 * Said on stdout: "WORKER NEXUS LINE VERB sent NS" before, "WORKER NEXUS LINE VERB STATUS NS [MORE]" after the answer, with
 * CLOCK_MONOTONIC. STATUS is GOOD, CONFLICT, CHECK:key/asc/ascq, another status as a number, or NONE: no answer, and the session
 * is gone. Unit attentions and "not ready, in transition" were not executed: sent again, up to the time limit.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define MAX_WORKERS 64
#define MAX_NEXUSES 4
#define MAX_DEPTH 64
#define SECTOR 512
#define PRIN_SIZE 8192
#define NS_PER_MS INT64_C(1000000)

struct nexus {
	char name[16];
	struct iscsi_context *iscsi; /* NULL: not logged in */
	int lun;
};

struct worker {
	char name[16];
	int lines[2]; /* pipe of char * */
	pthread_t thread;
	struct nexus nexuses[MAX_NEXUSES];
	unsigned int n_nexuses, line;
	bool ended;
};

struct wait {
	bool done;
	int status;
};

static struct {
	bool strict;
	int timeout_ms;
} opt = { .timeout_ms = 30000 };

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* One write per line: lines of threads do not mix, and none waits in a buffer. */
static void say(const struct worker *w, const struct nexus *x, const char *verb, const char *status, const char *more)
{
	char line[2560];
	int n = snprintf(line, sizeof(line), "%s %s %u %s %s %" PRId64 "%s\n", w->name, x->name, w->line, verb, status, now_ns(), more);

	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		exit(1);
}

static void on_answer(struct iscsi_context *iscsi, int status, void *command_data, void *private_data)
{
	struct wait *wait = private_data;

	(void)iscsi;
	(void)command_data;
	wait->done = true;
	wait->status = status;
}

static void hang_up(struct nexus *x)
{
	if (x->iscsi)
		iscsi_destroy_context(x->iscsi);
	x->iscsi = NULL;
}

/*
 * Serves all sessions of the worker until something happens on one, on @fd, or the time is up; false if @x broke. Another one that broke
 * says so when it is used next.
 */
static bool serve(struct worker *w, const struct nexus *x, int fd, int ms)
{
	struct pollfd fds[MAX_NEXUSES + 1];
	struct nexus *of[MAX_NEXUSES];
	nfds_t n = 0;
	bool ok = true;

	for (unsigned int i = 0; i < w->n_nexuses; i++) {
		struct iscsi_context *iscsi = w->nexuses[i].iscsi;

		if (!iscsi || iscsi_get_fd(iscsi) < 0)
			continue;
		of[n] = &w->nexuses[i];
		fds[n++] = (struct pollfd){ .fd = iscsi_get_fd(iscsi), .events = (short)iscsi_which_events(iscsi) };
	}
	fds[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (poll(fds, n + (fd >= 0), ms) < 0 && errno != EINTR)
		return false;
	for (nfds_t i = 0; i < n; i++) {
		if (fds[i].revents == 0 || iscsi_service(of[i]->iscsi, fds[i].revents) == 0)
			continue;
		if (of[i] == x)
			ok = false;
		else
			hang_up(of[i]);
	}
	return ok;
}

static bool finish(struct worker *w, const struct nexus *x, const struct wait *wait, int64_t deadline)
{
	while (!wait->done) {
		if (now_ns() >= deadline || !serve(w, x, -1, 100))
			return false;
	}
	return true;
}

/* --- sessions ----------------------------------------------------------------------------------------------------------------*/

static bool try_login(struct worker *w, struct nexus *x, const char *portal, const char *target, const char *initiator, int64_t deadline)
{
	struct wait wait = { 0 };

	x->iscsi = iscsi_create_context(initiator);
	if (!x->iscsi)
		return false;
	iscsi_set_noautoreconnect(x->iscsi, 1);
	iscsi_set_session_type(x->iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(x->iscsi, ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_targetname(x->iscsi, target);
	/* Always the same: a registration is of this path, whichever login it is. */
	iscsi_set_isid_random(x->iscsi, 0x4c50, 0);
	if (iscsi_connect_async(x->iscsi, portal, on_answer, &wait) || !finish(w, x, &wait, deadline) || wait.status != SCSI_STATUS_GOOD)
		return false;
	wait = (struct wait){ 0 };
	return iscsi_login_async(x->iscsi, on_answer, &wait) == 0 && finish(w, x, &wait, deadline) && wait.status == SCSI_STATUS_GOOD;
}

static bool run_login(struct worker *w, struct nexus *x, const char *args)
{
	char portal[64], target[256], initiator[256];
	int64_t end = now_ns() + opt.timeout_ms * NS_PER_MS;

	if (sscanf(args, "%63s %255s %255s %d", portal, target, initiator, &x->lun) != 4) {
		say(w, x, "login", "?arguments", "");
		return false;
	}
	hang_up(x);
	while (!try_login(w, x, portal, target, initiator, now_ns() + 10000 * NS_PER_MS)) {
		hang_up(x);
		if (now_ns() >= end) {
			say(w, x, "login", "NONE", "");
			return false;
		}
		serve(w, x, -1, 200);
	}
	say(w, x, "login", "GOOD", "");
	return true;
}

/* --- commands ----------------------------------------------------------------------------------------------------------------*/

static bool was_not_executed(const struct scsi_task *task, int status)
{
	if (status == SCSI_STATUS_BUSY || status == SCSI_STATUS_TASK_SET_FULL)
		return true;
	return status == SCSI_STATUS_CHECK_CONDITION &&
	       (task->sense.key == SCSI_SENSE_UNIT_ATTENTION || (task->sense.key == SCSI_SENSE_NOT_READY && task->sense.ascq >> 8 == 4));
}

static void status_text(char *text, size_t size, const struct scsi_task *task, int status)
{
	if (status == SCSI_STATUS_GOOD)
		snprintf(text, size, "GOOD");
	else if (status == SCSI_STATUS_RESERVATION_CONFLICT)
		snprintf(text, size, "CONFLICT");
	else if (status == SCSI_STATUS_CHECK_CONDITION)
		snprintf(text, size, "CHECK:%x/%02x/%02x", (unsigned int)task->sense.key, (unsigned int)task->sense.ascq >> 8 & 0xff,
			 (unsigned int)task->sense.ascq & 0xff);
	else
		snprintf(text, size, "%d", status);
}

/* What a PERSISTENT RESERVE IN said; SPC-4 6.15. */
static void read_text(char *text, size_t size, const char *verb, const struct scsi_task *task)
{
	const unsigned char *data = task->datain.data;
	size_t length = task->datain.size < 8 ? 0 : (size_t)task->datain.size, n = 0;
	bool reservation = strcmp(verb, "reservation") == 0;

	text[0] = '\0';
	for (size_t at = 8; at + 8 <= length && n < size - 32; at += reservation ? 16 : 8) {
		uint64_t key = 0;

		for (int i = 0; i < 8; i++)
			key = key << 8 | data[at + (size_t)i];
		n += (size_t)snprintf(text + n, size - n, " %#" PRIx64, key);
		if (reservation && at + 14 <= length)
			n += (size_t)snprintf(text + n, size - n, " %d", data[at + 13] & 0xf);
	}
}

/* Until it is executed or the time is up. */
static bool execute(struct worker *w, struct nexus *x, const char *verb, unsigned char *cdb, int size, int direction, int length,
		    unsigned char *out)
{
	int64_t deadline = now_ns() + opt.timeout_ms * NS_PER_MS;

	while (x->iscsi) {
		struct scsi_task *task = scsi_create_task(size, cdb, direction, length);
		struct iscsi_data data = { .size = (size_t)length, .data = out };
		struct wait wait = { 0 };
		char status[64], what[2048] = "";

		if (!task)
			break;
		say(w, x, verb, "sent", "");
		if (iscsi_scsi_command_async(x->iscsi, x->lun, task, on_answer, out ? &data : NULL, &wait) || !finish(w, x, &wait, deadline) ||
		    wait.status == SCSI_STATUS_CANCELLED || wait.status == SCSI_STATUS_ERROR || wait.status == SCSI_STATUS_TIMEOUT) {
			hang_up(x); /* its answers come now, while they have a place */
			scsi_free_scsi_task(task);
			break;
		}
		if (was_not_executed(task, wait.status) && now_ns() < deadline) {
			bool again_soon = wait.status == SCSI_STATUS_CHECK_CONDITION && task->sense.key == SCSI_SENSE_UNIT_ATTENTION;

			snprintf(status, sizeof(status), " ");
			status_text(status + 1, sizeof(status) - 1, task, wait.status);
			say(w, x, verb, "again", status);
			scsi_free_scsi_task(task);
			if (!again_soon && !serve(w, x, -1, 50))
				hang_up(x);
			continue;
		}
		status_text(status, sizeof(status), task, wait.status);
		if (wait.status == SCSI_STATUS_GOOD && (strcmp(verb, "keys") == 0 || strcmp(verb, "reservation") == 0))
			read_text(what, sizeof(what), verb, task);
		say(w, x, verb, status, what);
		scsi_free_scsi_task(task);
		return wait.status == SCSI_STATUS_GOOD;
	}
	say(w, x, verb, "NONE", "");
	return false;
}

static void put64(unsigned char *at, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		at[i] = (unsigned char)value;
}

static bool run_prout(struct worker *w, struct nexus *x, const char *args)
{
	static const char *const actions[] = { "register", "reserve", "release", "clear", "preempt", "preempt-abort", "register-ignore" };
	unsigned char cdb[10] = { 0x5f, [8] = 24 }, data[24] = { 0 };
	char action[32];
	uint64_t key, sa_key;
	unsigned int type;
	int all_tg_pt = 0;

	if (sscanf(args, "%31s %u %" SCNx64 " %" SCNx64 " %d", action, &type, &key, &sa_key, &all_tg_pt) < 4) {
		say(w, x, "prout", "?arguments", "");
		return false;
	}
	cdb[1] = 0xff;
	for (unsigned char i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		cdb[1] = strcmp(action, actions[i]) == 0 ? i : cdb[1];
	cdb[2] = (unsigned char)type;
	put64(data, key);
	put64(data + 8, sa_key);
	data[20] = all_tg_pt ? 4 : 0;
	return execute(w, x, action, cdb, sizeof(cdb), SCSI_XFER_WRITE, sizeof(data), data);
}

static bool run_prin(struct worker *w, struct nexus *x, const char *verb)
{
	unsigned char cdb[10] = { 0x5e, [1] = strcmp(verb, "reservation") == 0, [7] = PRIN_SIZE >> 8, [8] = PRIN_SIZE & 0xff };

	return execute(w, x, verb, cdb, sizeof(cdb), SCSI_XFER_READ, PRIN_SIZE, NULL);
}

static bool run_block(struct worker *w, struct nexus *x, const char *verb)
{
	bool out = strcmp(verb, "write") == 0;
	unsigned char cdb[10] = { out ? 0x2a : 0x28, [5] = 1, [8] = 1 }, sector[SECTOR] = { 0 };

	return execute(w, x, verb, cdb, sizeof(cdb), out ? SCSI_XFER_WRITE : SCSI_XFER_READ, SECTOR, out ? sector : NULL);
}

/* Keeps writes in flight. Says how many were GOOD, what ended it, and how long it took after that until all had an answer. */
static bool run_flood(struct worker *w, struct nexus *x, const char *args)
{
	static unsigned char sector[SECTOR];
	unsigned char cdb[10] = { 0x2a, [8] = 1 };
	struct { struct scsi_task *task; struct wait wait; struct iscsi_data data; } flight[MAX_DEPTH] = { 0 };
	unsigned int depth = 1, count = 1, good = 0, others = 0, again = 0, in_flight = 0;
	int64_t deadline, ended = 0;
	char status[64] = "GOOD", what[128];

	sscanf(args, "%u %u", &depth, &count);
	depth = depth > MAX_DEPTH ? MAX_DEPTH : depth;
	say(w, x, "flood", "sent", "");
	deadline = now_ns() + 10 * opt.timeout_ms * NS_PER_MS;
	do {
		for (unsigned int i = 0; i < depth && x->iscsi; i++) {
			if (flight[i].task && flight[i].wait.done) {
				int got = flight[i].wait.status;

				in_flight--;
				if (got == SCSI_STATUS_GOOD) {
					good++;
				} else if (!was_not_executed(flight[i].task, got)) {
					others++;
					if (!ended)
						status_text(status, sizeof(status), flight[i].task, got);
					ended = ended ? ended : now_ns();
				} else {
					again++;
				}
				scsi_free_scsi_task(flight[i].task);
				flight[i].task = NULL;
			}
			if (flight[i].task || ended || good >= count)
				continue;
			cdb[5] = (unsigned char)(16 + i);
			flight[i].task = scsi_create_task(sizeof(cdb), cdb, SCSI_XFER_WRITE, SECTOR);
			flight[i].wait = (struct wait){ 0 };
			flight[i].data = (struct iscsi_data){ .size = SECTOR, .data = sector };
			if (!flight[i].task || iscsi_scsi_command_async(x->iscsi, x->lun, flight[i].task, on_answer, &flight[i].data, &flight[i].wait))
				goto broken;
			in_flight++;
		}
		/* Those that PREEMPT AND ABORT took away get no answer of their own (TAS=0). */
		if (ended && now_ns() >= ended + 2000 * NS_PER_MS)
			break;
	} while (in_flight && now_ns() < deadline && serve(w, x, -1, 100));
	if (in_flight && !ended)
		goto broken;
	snprintf(what, sizeof(what), " good=%u others=%u again=%u unanswered=%u", good, others, again, in_flight);
	say(w, x, "flood", status, what);
	if (in_flight)
		hang_up(x);
	for (unsigned int i = 0; i < depth; i++)
		scsi_free_scsi_task(flight[i].task);
	return strcmp(status, "GOOD") == 0;
broken:
	hang_up(x);
	for (unsigned int i = 0; i < depth; i++)
		scsi_free_scsi_task(flight[i].task);
	snprintf(what, sizeof(what), " good=%u others=%u again=%u unanswered=%u", good, others, again, in_flight);
	say(w, x, "flood", "NONE", what);
	return false;
}

static bool run_sleep(struct worker *w, struct nexus *x, const char *args)
{
	int64_t end = now_ns() + atoi(args) * NS_PER_MS;
	int64_t left;

	while ((left = end - now_ns()) > 0) {
		if (!serve(w, NULL, -1, (int)(left / NS_PER_MS) + 1))
			break;
	}
	(void)x;
	return true;
}

/* --- scripts -----------------------------------------------------------------------------------------------------------------*/

static struct nexus *nexus_named(struct worker *w, const char *name)
{
	for (unsigned int i = 0; i < w->n_nexuses; i++) {
		if (strcmp(w->nexuses[i].name, name) == 0)
			return &w->nexuses[i];
	}
	if (w->n_nexuses == MAX_NEXUSES) {
		fprintf(stderr, "pr-driver: more than %d sessions of one worker\n", MAX_NEXUSES);
		exit(2);
	}
	snprintf(w->nexuses[w->n_nexuses].name, sizeof(w->nexuses[0].name), "%s", name);
	return &w->nexuses[w->n_nexuses++];
}

static bool run_line(struct worker *w, char *line)
{
	char *name = strsep(&line, " "), *verb = strsep(&line, " "), *args = line;
	struct nexus *x;

	w->line++;
	if (!verb) {
		fprintf(stderr, "pr-driver: a line is WORKER NEXUS VERB [ARGUMENT...]\n");
		exit(2);
	}
	args = args ? args : verb + strlen(verb);
	x = nexus_named(w, name);
	if (strcmp(verb, "login") == 0)
		return run_login(w, x, args);
	if (strcmp(verb, "prout") == 0)
		return run_prout(w, x, args);
	if (strcmp(verb, "keys") == 0 || strcmp(verb, "reservation") == 0)
		return run_prin(w, x, verb);
	if (strcmp(verb, "read") == 0 || strcmp(verb, "write") == 0)
		return run_block(w, x, verb);
	if (strcmp(verb, "flood") == 0)
		return run_flood(w, x, args);
	if (strcmp(verb, "sleep") == 0)
		return run_sleep(w, x, args);
	fprintf(stderr, "pr-driver: no such verb: %s\n", verb);
	exit(2);
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct pollfd more = { .fd = w->lines[0], .events = POLLIN };
	char *line;

	for (;;) {
		serve(w, NULL, w->lines[0], 1000);
		if (poll(&more, 1, 0) != 1)
			continue;
		if (read(w->lines[0], &line, sizeof(line)) != sizeof(line))
			break;
		if (!w->ended)
			w->ended = !run_line(w, line) && opt.strict;
		free(line);
	}
	for (unsigned int i = 0; i < w->n_nexuses; i++)
		hang_up(&w->nexuses[i]);
	return NULL;
}

static struct worker *worker_named(struct worker *workers, unsigned int *n, const char *name)
{
	struct worker *w = &workers[*n];

	for (unsigned int i = 0; i < *n; i++) {
		if (strcmp(workers[i].name, name) == 0)
			return &workers[i];
	}
	if (*n == MAX_WORKERS || pipe(w->lines)) {
		fprintf(stderr, "pr-driver: too many workers\n");
		exit(2);
	}
	++*n;
	snprintf(w->name, sizeof(w->name), "%s", name);
	if (pthread_create(&w->thread, NULL, run_worker, w)) {
		perror("pthread_create");
		exit(1);
	}
	return w;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "strict", no_argument, NULL, 's' }, { "timeout-ms", required_argument, NULL, 't' }, { 0 } };
	static struct worker workers[MAX_WORKERS];
	unsigned int n = 0;
	char *line = NULL;
	size_t size = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': opt.strict = true; break;
		case 't': opt.timeout_ms = atoi(optarg); break;
		default: return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	while (getline(&line, &size, stdin) > 0) {
		char *rest = line, *name, *copy;

		line[strcspn(line, "\n")] = '\0';
		name = strsep(&rest, " ");
		copy = rest ? strdup(rest) : NULL;
		if (copy && write(worker_named(workers, &n, name)->lines[1], &copy, sizeof(copy)) != sizeof(copy)) {
			perror("pr-driver");
			return 1;
		}
	}
	free(line);
	for (unsigned int i = 0; i < n; i++)
		close(workers[i].lines[1]);
	for (unsigned int i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	return 0;
}
