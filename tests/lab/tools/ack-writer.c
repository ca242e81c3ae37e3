// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes blocks to a device and tells a log outside of all machines, before each write and after each acknowledgement, which one
 * it was. From the log and the device a test decides later whether an acknowledged write was lost (ack-verify).
 *
 *	ack-writer --device DEV --log FILE --blocks N [--first LBA] [--threads N] [--read-percent N] [--pause-us N]
 *		   [--duration S] [--writer ID] [--status FILE]
 *
 * Log, one line per event:
 *
 *	I WRITER LBA SEQ NS	about to be written
 *	A WRITER LBA SEQ NS	acknowledged
 *	E WRITER LBA SEQ NS	failed: may or may not be on the device
 *
 * Each block belongs to one thread, which has one write under way at most; hence SEQ of a block grows in the order of its writes.
 * Blocks 0 to 7 get every fourth operation, since a volume's first blocks are where layers like to keep their own data.
 * At the end (--duration, SIGTERM, SIGINT) the result is printed as JSON; --status has it once a second while running.
 */
#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 4
#define MAX_GAPS 1000
#define GAP_NS UINT64_C(200000000)
#define HOT_BLOCKS 8
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
/* How long a stalled operation may hold up the end; then the result is printed without it. */
#define GRACE_NS (10 * NS_PER_S)

struct gap {
	uint64_t from_ns, to_ns;	/* monotonic: no operation succeeded in between */
	uint64_t wall_ms;		/* of its beginning */
};

struct known {
	uint64_t acked, issued;
};

static struct {
	const char *device, *log, *status;
	uint64_t first, blocks;
	unsigned int threads, read_percent, pause_us, duration_s;
	uint32_t writer;
} opt = { .threads = 2, .read_percent = 25 };

static int device_fd, log_fd;
static struct known *known;		/* per block; each entry is its thread's own */
static atomic_bool stop;
static atomic_uint running;

/* Everything that the result tells, under one lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	uint64_t writes, reads, io_errors, verify_errors;
	uint64_t begin_ns, last_ns;	/* last: when an operation last succeeded */
	uint64_t longest_op_ns;
	struct gap longest, gaps[MAX_GAPS];
	unsigned int n_gaps;
	char last_error[160];
} stats;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

/* One write(2) per line: lines of threads do not mix, and nothing stays behind in a buffer. */
static void log_event(char what, uint64_t lba, uint64_t seq, uint64_t ns)
{
	char line[96];
	int size = snprintf(line, sizeof(line), "%c %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			    what, opt.writer, lba, seq, ns);

	for (int done = 0; done < size;) {
		ssize_t n = write(log_fd, line + done, (size_t)(size - done));

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			die(opt.log);
		done += (int)n;
	}
}

static void log_locked(char what, uint64_t lba, uint64_t seq, uint64_t ns)
{
	static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&log_lock);
	log_event(what, lba, seq, ns);
	pthread_mutex_unlock(&log_lock);
}

static struct gap gap_until(uint64_t now)
{
	struct gap g = { .from_ns = stats.last_ns, .to_ns = now, .wall_ms = wall_ms() - (now - stats.last_ns) / NS_PER_MS };

	return g;
}

static void note_success(uint64_t begin, bool is_write)
{
	uint64_t now = monotonic_ns();
	struct gap g;

	pthread_mutex_lock(&lock);
	if (is_write)
		stats.writes++;
	else
		stats.reads++;
	if (now - begin > stats.longest_op_ns)
		stats.longest_op_ns = now - begin;
	/* Another thread may have finished after we looked at the clock. */
	if (now > stats.last_ns) {
		g = gap_until(now);
		if (now - stats.last_ns > stats.longest.to_ns - stats.longest.from_ns)
			stats.longest = g;
		if (now - stats.last_ns > GAP_NS && stats.n_gaps < MAX_GAPS)
			stats.gaps[stats.n_gaps++] = g;
		stats.last_ns = now;
	}
	pthread_mutex_unlock(&lock);
}

static void note_error(uint64_t *counter, const char *what, uint64_t lba, const char *why)
{
	pthread_mutex_lock(&lock);
	(*counter)++;
	snprintf(stats.last_error, sizeof(stats.last_error), "%s of block %" PRIu64 ": %s", what, lba, why);
	pthread_mutex_unlock(&lock);
	/* A device that fails at once must not flood the log. */
	usleep(20000);
}

static void write_one(struct block *b, uint64_t i)
{
	uint64_t lba = opt.first + i, seq = ++known[i].issued, begin = monotonic_ns();
	ssize_t n;

	block_fill(b, lba, seq, opt.writer, begin);
	log_locked('I', lba, seq, begin);
	n = pwrite(device_fd, b, sizeof(*b), (off_t)(lba * BLOCK_SIZE));
	if (n != (ssize_t)sizeof(*b)) {
		int err = n < 0 ? errno : EIO;

		log_locked('E', lba, seq, monotonic_ns());
		note_error(&stats.io_errors, "write", lba, strerror(err));
		return;
	}
	log_locked('A', lba, seq, monotonic_ns());
	known[i].acked = seq;
	note_success(begin, true);
}

static const char *judge_read(const struct block *b, uint64_t i)
{
	switch (block_judge(b, opt.first + i)) {
	case BLOCK_ZERO:
		return known[i].acked ? "is empty again" : NULL;
	case BLOCK_OK:
		if (b->sectors[0].seq < known[i].acked)
			return "is older than what was acknowledged";
		return b->sectors[0].seq > known[i].issued ? "is newer than what was written" : NULL;
	case BLOCK_TORN:
		return "is torn";
	case BLOCK_FOREIGN:
		break;
	}
	return known[i].issued ? "holds foreign data" : NULL;
}

static void read_one(struct block *b, uint64_t i)
{
	uint64_t lba = opt.first + i, begin = monotonic_ns();
	ssize_t n = pread(device_fd, b, sizeof(*b), (off_t)(lba * BLOCK_SIZE));
	const char *wrong;

	if (n != (ssize_t)sizeof(*b)) {
		note_error(&stats.io_errors, "read", lba, strerror(n < 0 ? errno : EIO));
		return;
	}
	wrong = judge_read(b, i);
	if (wrong)
		note_error(&stats.verify_errors, "content", lba, wrong);
	note_success(begin, false);
}

/* A block of this thread: those whose number has the thread's remainder. */
static uint64_t choose(unsigned int thread, unsigned int *seed)
{
	uint64_t limit = rand_r(seed) % 4 == 0 && opt.blocks > HOT_BLOCKS ? HOT_BLOCKS : opt.blocks;
	uint64_t mine = (limit - thread + opt.threads - 1) / opt.threads;

	return (uint64_t)rand_r(seed) % mine * opt.threads + thread;
}

static void *work(void *arg)
{
	unsigned int thread = (unsigned int)(uintptr_t)arg;
	unsigned int seed = (unsigned int)monotonic_ns() + thread;
	struct block *b = aligned_alloc(BLOCK_SIZE, sizeof(*b));

	if (!b)
		die("aligned_alloc");
	while (!stop) {
		uint64_t i = choose(thread, &seed);

		if ((unsigned int)rand_r(&seed) % 100 < opt.read_percent)
			read_one(b, i);
		else
			write_one(b, i);
		if (opt.pause_us)
			usleep(opt.pause_us);
	}
	free(b);
	running--;
	return NULL;
}

/* Sequence numbers go on where an earlier writer stopped. */
static void learn_blocks(void)
{
	struct block *b = aligned_alloc(BLOCK_SIZE, sizeof(*b));

	known = calloc(opt.blocks, sizeof(*known));
	if (!b || !known)
		die("malloc");
	for (uint64_t i = 0; i < opt.blocks; i++) {
		if (pread(device_fd, b, sizeof(*b), (off_t)((opt.first + i) * BLOCK_SIZE)) != (ssize_t)sizeof(*b))
			die("reading the region");
		if (block_judge(b, opt.first + i) == BLOCK_OK)
			known[i].acked = known[i].issued = b->sectors[0].seq;
	}
	free(b);
}

static void print_gap(FILE *out, const struct gap *g)
{
	fprintf(out, "{\"ms\": %" PRIu64 ", \"from_ns\": %" PRIu64 ", \"wall_ms\": %" PRIu64 "}",
		(g->to_ns - g->from_ns) / NS_PER_MS, g->from_ns, g->wall_ms);
}

static void print_result(FILE *out, bool ended)
{
	struct gap now;

	pthread_mutex_lock(&lock);
	now = gap_until(monotonic_ns());
	fprintf(out, "{\"writer\": %" PRIu32 ", \"ended\": %s, \"stuck\": %u, \"ops\": %" PRIu64 ", \"writes\": %" PRIu64
		", \"reads\": %" PRIu64 ", \"io_errors\": %" PRIu64 ", \"verify_errors\": %" PRIu64 ", \"last_error\": \"%s\""
		", \"seconds\": %.3f, \"longest_op_ms\": %" PRIu64 ", \"since_last_ms\": %" PRIu64 ", \"longest_gap\": ",
		opt.writer, ended ? "true" : "false", ended ? running : 0, stats.writes + stats.reads, stats.writes, stats.reads,
		stats.io_errors, stats.verify_errors, stats.last_error, (double)(now.to_ns - stats.begin_ns) / (double)NS_PER_S,
		stats.longest_op_ns / NS_PER_MS, (now.to_ns - now.from_ns) / NS_PER_MS);
	print_gap(out, &stats.longest);
	fputs(", \"gaps\": [", out);
	for (unsigned int i = 0; i < stats.n_gaps; i++) {
		fputs(i ? ", " : "", out);
		print_gap(out, &stats.gaps[i]);
	}
	fputs("]}\n", out);
	pthread_mutex_unlock(&lock);
}

static void write_status(void)
{
	char temp[4096];
	FILE *out;

	if (!opt.status || snprintf(temp, sizeof(temp), "%s.new", opt.status) >= (int)sizeof(temp))
		return;
	out = fopen(temp, "we");
	if (!out)
		return;
	print_result(out, false);
	if (fclose(out) == 0 && rename(temp, opt.status))
		perror(opt.status);
}

/* Waits for a signal to stop or for the end of the time given. */
static void supervise(const sigset_t *signals)
{
	const struct timespec second = { .tv_sec = 1 };

	while (!opt.duration_s || monotonic_ns() - stats.begin_ns < opt.duration_s * NS_PER_S) {
		if (sigtimedwait(signals, NULL, &second) > 0)
			break;
		write_status();
	}
	stop = true;
	for (uint64_t from = monotonic_ns(); running && monotonic_ns() - from < GRACE_NS;)
		usleep(10000);
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 0);

	if (end == text || *end) {
		fprintf(stderr, "ack-writer: %s is no number\n", text);
		exit(2);
	}
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' }, { "log", required_argument, NULL, 'l' },
		{ "blocks", required_argument, NULL, 'b' }, { "first", required_argument, NULL, 'f' },
		{ "threads", required_argument, NULL, 't' }, { "read-percent", required_argument, NULL, 'r' },
		{ "pause-us", required_argument, NULL, 'p' }, { "duration", required_argument, NULL, 's' },
		{ "writer", required_argument, NULL, 'w' }, { "status", required_argument, NULL, 'S' }, { 0 }
	};
	int c;

	opt.writer = (uint32_t)getpid();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd': opt.device = optarg; break;
		case 'l': opt.log = optarg; break;
		case 'S': opt.status = optarg; break;
		case 'b': opt.blocks = number(optarg); break;
		case 'f': opt.first = number(optarg); break;
		case 't': opt.threads = (unsigned int)number(optarg); break;
		case 'r': opt.read_percent = (unsigned int)number(optarg); break;
		case 'p': opt.pause_us = (unsigned int)number(optarg); break;
		case 's': opt.duration_s = (unsigned int)number(optarg); break;
		case 'w': opt.writer = (uint32_t)number(optarg); break;
		default: exit(2);
		}
	}
	if (!opt.device || !opt.log || opt.threads < 1 || opt.threads > MAX_THREADS || opt.blocks < HOT_BLOCKS) {
		fprintf(stderr, "usage: ack-writer --device DEV --log FILE --blocks N (8 or more) [--first LBA] [--threads 1..4]\n"
			"       [--read-percent N] [--pause-us N] [--duration S] [--writer ID] [--status FILE]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;
	sigset_t signals;

	parse(argc, argv);
	device_fd = open(opt.device, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (device_fd < 0)
		die(opt.device);
	log_fd = open(opt.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (log_fd < 0)
		die(opt.log);
	learn_blocks();

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	stats.begin_ns = stats.last_ns = monotonic_ns();
	running = opt.threads;
	for (unsigned int i = 0; i < opt.threads; i++)
		if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)i))
			die("pthread_create");
	supervise(&signals);
	write_status();
	print_result(stdout, true);
	fflush(stdout);
	/* Not exit(): a thread may hang in the kernel, and nothing here needs it. */
	_exit(stats.io_errors || stats.verify_errors ? 1 : 0);
}
