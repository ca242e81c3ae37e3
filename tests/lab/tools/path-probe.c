// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asks every path to a volume, all the time and without any multipath in between, what it would do: TEST UNIT READY, READ(10),
 * REPORT TARGET PORT GROUPS and WRITE(10) of a block that only this path writes. What each answered, and when, goes to a log of JSON
 * lines; probe-check finds out whether two nodes ever served at once.
 *
 *	path-probe --log FILE [--lun N] [--lba N] [--initiator IQN] [--user NAME --password SECRET] [--timeout-ms N] [--pause-ms N]
 *		   NAME=ADDRESS:PORT,TARGET-IQN...
 *
 * Path number i writes the 512-byte block LBA + 8 * i. A path that cannot be reached is tried for ever. A line:
 *
 *	{"path": "n1", "cmd": "write", "t0": NS, "t1": NS, "status": "GOOD", "seq": 7}
 *
 * status is GOOD, CHECK (with key, asc, ascq), another status as a number, or NONE when no answer came (why tells what is known; the
 * command may have been executed). t0 is CLOCK_MONOTONIC before the command was sent, t1 after its answer had come.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define MAX_PATHS 8
#define SECTOR 512
#define RTPG_SIZE 512
#define VPD_SIZE 255
#define NS_PER_MS INT64_C(1000000)

struct path {
	char *name, *portal, *target;
	unsigned int number;
	uint32_t seq;
	struct iscsi_context *iscsi;	/* NULL while not logged in */
};

/* One request to libiscsi and what became of it. */
struct wait {
	bool done;
	int status;
	void *answer;
};

static struct {
	const char *log, *initiator, *user, *password;
	int lun;
	uint32_t lba;
	int timeout_ms, pause_ms;
} opt = { .initiator = "iqn.2026-11.lab.lunward:probe", .timeout_ms = 5000, .pause_ms = 100 };

static int log_fd;
static atomic_bool stop;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

__attribute__((format(printf, 5, 6)))
static void log_line(const struct path *p, const char *cmd, int64_t t0, const char *status, const char *more, ...)
{
	char line[2048];
	va_list args;
	int n = snprintf(line, sizeof(line), "{\"path\": \"%s\", \"cmd\": \"%s\", \"t0\": %" PRId64 ", \"t1\": %" PRId64
			 ", \"status\": \"%s\"", p->name, cmd, t0, now_ns(), status);

	va_start(args, more);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 3, more, args);
	va_end(args);
	if (n > (int)sizeof(line) - 3)
		n = (int)sizeof(line) - 3;
	line[n++] = '}';
	line[n++] = '\n';
	/* One write per line, appended: lines of threads do not mix. */
	if (write(log_fd, line, (size_t)n) != n) {
		perror(opt.log);
		exit(1);
	}
}

/* libiscsi's messages are for people; one JSON string must not end early for them. */
static void log_failure(const struct path *p, const char *cmd, int64_t t0, const char *why)
{
	char clean[200];
	size_t i;

	for (i = 0; why[i] && i < sizeof(clean) - 1; i++)
		clean[i] = why[i] < ' ' || why[i] == '"' || why[i] == '\\' ? ' ' : why[i];
	clean[i] = '\0';
	log_line(p, cmd, t0, "NONE", ", \"why\": \"%s\"", clean);
}

static void on_answer(struct iscsi_context *iscsi, int status, void *command_data, void *private_data)
{
	struct wait *w = private_data;

	(void)iscsi;
	w->done = true;
	w->status = status;
	w->answer = command_data;
}

/* Runs the connection until @w is done; false when it broke or the time was up. */
static bool finish(struct iscsi_context *iscsi, const struct wait *w)
{
	int64_t deadline = now_ns() + opt.timeout_ms * NS_PER_MS;

	while (!w->done) {
		struct pollfd pfd = { .fd = iscsi_get_fd(iscsi), .events = (short)iscsi_which_events(iscsi) };

		if (now_ns() >= deadline)
			return false;
		if (poll(&pfd, 1, 100) < 0 && errno != EINTR)
			return false;
		if (iscsi_service(iscsi, pfd.revents) < 0)
			return false;
	}
	return true;
}

/* Answers of a context come at the latest when it is destroyed, so no wait may outlive it: they are all on the caller's stack. */
static void path_close(struct path *p)
{
	if (p->iscsi)
		iscsi_destroy_context(p->iscsi);
	p->iscsi = NULL;
}

static bool path_login(struct path *p, struct wait *w)
{
	p->iscsi = iscsi_create_context(opt.initiator);
	if (!p->iscsi)
		return false;
	iscsi_set_noautoreconnect(p->iscsi, 1);
	iscsi_set_session_type(p->iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(p->iscsi, ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_targetname(p->iscsi, p->target);
	/* The same for every login of a path: a new session replaces one that the target still believes in. */
	iscsi_set_isid_random(p->iscsi, 0x4c41 + p->number, 0);
	if (opt.user)
		iscsi_set_initiator_username_pwd(p->iscsi, opt.user, opt.password);
	if (iscsi_connect_async(p->iscsi, p->portal, on_answer, w) || !finish(p->iscsi, w) || w->status != SCSI_STATUS_GOOD)
		return false;
	w->done = false;
	return iscsi_login_async(p->iscsi, on_answer, w) == 0 && finish(p->iscsi, w) && w->status == SCSI_STATUS_GOOD;
}

static bool path_open(struct path *p)
{
	struct wait w = { 0 };
	int64_t t0 = now_ns();
	bool ok = path_login(p, &w);

	if (ok) {
		log_line(p, "login", t0, "GOOD", " ");
		return true;
	}
	log_failure(p, "login", t0, p->iscsi ? iscsi_get_error(p->iscsi) : "no memory");
	path_close(p);
	return false;
}

/*
 * Executes a command and logs what came of it if that is anything but GOOD. Returns the task, to be freed by the caller, if it is
 * GOOD, else NULL. A connection that gave no answer is closed.
 */
static struct scsi_task *execute(struct path *p, const char *name, unsigned char *cdb, int size, int direction, int length,
				 unsigned char *out, int64_t *t0)
{
	struct scsi_task *task = scsi_create_task(size, cdb, direction, length);
	struct iscsi_data data = { .size = (size_t)length, .data = out };
	struct wait w = { 0 };

	*t0 = now_ns();
	if (!task)
		return NULL;
	if (iscsi_scsi_command_async(p->iscsi, opt.lun, task, on_answer, out ? &data : NULL, &w) || !finish(p->iscsi, &w) ||
	    w.status == SCSI_STATUS_CANCELLED || w.status == SCSI_STATUS_ERROR || w.status == SCSI_STATUS_TIMEOUT) {
		log_failure(p, name, *t0, now_ns() - *t0 >= opt.timeout_ms * NS_PER_MS ? "timeout" : iscsi_get_error(p->iscsi));
		path_close(p);
	} else if (w.status == SCSI_STATUS_CHECK_CONDITION) {
		log_line(p, name, *t0, "CHECK", ", \"key\": %d, \"asc\": %d, \"ascq\": %d", (int)task->sense.key,
			 task->sense.ascq >> 8, task->sense.ascq & 0xff);
	} else if (w.status != SCSI_STATUS_GOOD) {
		char number[16];

		snprintf(number, sizeof(number), "%d", w.status);
		log_line(p, name, *t0, number, " ");
	} else {
		return task;
	}
	scsi_free_scsi_task(task);
	return NULL;
}

/* A command whose answer has no content. */
static void probe(struct path *p, const char *name, unsigned char *cdb, int size, int direction, int length, unsigned char *out)
{
	struct scsi_task *task;
	int64_t t0;

	if (!p->iscsi)
		return;
	task = execute(p, name, cdb, size, direction, length, out, &t0);
	if (!task)
		return;
	if (out)
		log_line(p, name, t0, "GOOD", ", \"seq\": %" PRIu32, p->seq);
	else
		log_line(p, name, t0, "GOOD", " ");
	scsi_free_scsi_task(task);
}

/* SPC-4 6.33: groups as [id, state, preferred]. */
static void format_groups(char *text, size_t size, const unsigned char *data, size_t length)
{
	size_t n = (size_t)snprintf(text, size, "[");

	for (size_t at = 4; at + 8 <= length && n < size; at += 8 + 4U * data[at + 7])
		n += (size_t)snprintf(text + n, size - n, "%s[%d, %d, %d]", at > 4 ? ", " : "", data[at + 2] << 8 | data[at + 3],
				      data[at] & 0xf, data[at] >> 7);
	if (n < size)
		snprintf(text + n, size - n, "]");
}

static void probe_groups(struct path *p)
{
	unsigned char cdb[12] = { 0xa3, 0x0a, [8] = RTPG_SIZE >> 8, [9] = RTPG_SIZE & 0xff };
	struct scsi_task *task;
	char groups[1024];
	int64_t t0;

	if (!p->iscsi)
		return;
	task = execute(p, "rtpg", cdb, 12, SCSI_XFER_READ, RTPG_SIZE, NULL, &t0);
	if (!task)
		return;
	format_groups(groups, sizeof(groups), task->datain.data, (size_t)task->datain.size);
	log_line(p, "rtpg", t0, "GOOD", ", \"groups\": %s", groups);
	scsi_free_scsi_task(task);
}

/* The group that the port of this path belongs to: SPC-4 7.8.6, designator type 5 of the device identification page. */
static void identify(struct path *p)
{
	unsigned char cdb[6] = { 0x12, 1, 0x83, 0, VPD_SIZE, 0 };
	struct scsi_task *task;
	int64_t t0;
	int group = -1;

	if (!p->iscsi)
		return;
	task = execute(p, "ident", cdb, 6, SCSI_XFER_READ, VPD_SIZE, NULL, &t0);
	if (!task)
		return;
	for (int at = 4; at + 8 <= task->datain.size; at += 4 + task->datain.data[at + 3])
		if ((task->datain.data[at + 1] & 0xf) == 5)
			group = task->datain.data[at + 6] << 8 | task->datain.data[at + 7];
	log_line(p, "ident", t0, "GOOD", ", \"group\": %d", group);
	scsi_free_scsi_task(task);
}

static void probe_io(struct path *p)
{
	unsigned char sector[SECTOR] = { 0 };
	uint32_t lba = opt.lba + 8 * p->number;
	unsigned char cdb[10] = { 0x28, 0, (unsigned char)(lba >> 24), (unsigned char)(lba >> 16), (unsigned char)(lba >> 8),
				  (unsigned char)lba, 0, 0, 1, 0 };

	probe(p, "read", cdb, 10, SCSI_XFER_READ, SECTOR, NULL);
	cdb[0] = 0x2a;
	snprintf((char *)sector, sizeof(sector), "lunward-probe %s %" PRIu32, p->name, ++p->seq);
	probe(p, "write", cdb, 10, SCSI_XFER_WRITE, SECTOR, sector);
}

static void *run_path(void *arg)
{
	unsigned char tur[6] = { 0 };
	struct path *p = arg;

	while (!stop) {
		if (!p->iscsi && path_open(p))
			identify(p);
		if (p->iscsi)
			probe(p, "tur", tur, 6, SCSI_XFER_NONE, 0, NULL);
		probe_groups(p);
		if (p->iscsi)
			probe_io(p);
		usleep((useconds_t)opt.pause_ms * 1000);
	}
	path_close(p);
	return NULL;
}

static void parse_path(struct path *p, char *text, unsigned int number)
{
	p->name = strsep(&text, "=");
	p->portal = strsep(&text, ",");
	p->target = text;
	p->number = number;
	if (!p->target) {
		fprintf(stderr, "path-probe: a path is NAME=ADDRESS:PORT,TARGET-IQN\n");
		exit(2);
	}
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "log", required_argument, NULL, 'l' }, { "lun", required_argument, NULL, 'n' },
		{ "lba", required_argument, NULL, 'a' }, { "initiator", required_argument, NULL, 'i' },
		{ "user", required_argument, NULL, 'u' }, { "password", required_argument, NULL, 'p' },
		{ "timeout-ms", required_argument, NULL, 't' }, { "pause-ms", required_argument, NULL, 'w' }, { 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': opt.log = optarg; break;
		case 'n': opt.lun = atoi(optarg); break;
		case 'a': opt.lba = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 'i': opt.initiator = optarg; break;
		case 'u': opt.user = optarg; break;
		case 'p': opt.password = optarg; break;
		case 't': opt.timeout_ms = atoi(optarg); break;
		case 'w': opt.pause_ms = atoi(optarg); break;
		default: exit(2);
		}
	}
	if (!opt.log || optind == argc || argc - optind > MAX_PATHS || !opt.user != !opt.password) {
		fprintf(stderr, "usage: path-probe --log FILE [--lun N] [--lba N] [--initiator IQN] [--user NAME --password SECRET]\n"
			"       [--timeout-ms N] [--pause-ms N] NAME=ADDRESS:PORT,TARGET-IQN...\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct path paths[MAX_PATHS] = { 0 };
	pthread_t threads[MAX_PATHS];
	sigset_t signals;
	int n = 0, sig;

	parse(argc, argv);
	log_fd = open(opt.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (log_fd < 0) {
		perror(opt.log);
		return 1;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (; optind < argc; n++, optind++) {
		parse_path(&paths[n], argv[optind], (unsigned int)n);
		if (pthread_create(&threads[n], NULL, run_path, &paths[n])) {
			perror("pthread_create");
			return 1;
		}
	}
	sigdelset(&signals, SIGPIPE);
	sigwait(&signals, &sig);
	stop = true;
	while (n--)
		pthread_join(threads[n], NULL);
	return 0;
}
