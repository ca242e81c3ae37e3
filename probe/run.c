// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lunward-probe run: streams of reads and writes, until the time is over or a signal comes; then all that was written is read back.
 *
 * Each stream is a thread with one operation under way, and each block belongs to one stream: hence a block's writes follow each other,
 * and what is known of it needs no lock.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "probe/acklog.h"
#include "probe/area.h"
#include "probe/probe.h"

#define US_PER_S INT64_C(1000000)
#define STATUS_EVERY_US US_PER_S
/* A device that fails at once is not asked again at once. */
#define AFTER_FAILURE_US (US_PER_S / 10)
/* The first blocks of a volume, where layers like to keep data of their own, get every fourth operation. */
#define HOT_BLOCKS 8

struct run {
	const struct options *opt;
	struct area area;
	int log_fd, stop_event, done_event; /* events: readable from the moment on that they have happened */
	struct acklog_head head;
	unsigned int depth;
	struct block_known *known; /* each entry is its stream's own */
	bool *found;               /* the same; whether a fault of this block was counted */
	atomic_bool stop, give_up;
	pthread_mutex_t log_lock, lock;

	/* Under `lock` */
	struct stats stats;
	struct check check;
	unsigned int running;
	int64_t log_longest_us;
	int log_error;
};

struct stream {
	struct run *run;
	unsigned int number;
	uint64_t random;
	struct block *b;
	int64_t due_us;
};

static void happen(int event)
{
	const uint64_t one = 1;

	if (write(event, &one, sizeof(one)) != (ssize_t)sizeof(one))
		abort();
}

static void request_stop(struct run *run)
{
	run->stop = true;
	happen(run->stop_event);
}

/* --- one operation --------------------------------------------------------------------------------------------------------------------*/

static void log_event(struct run *run, char what, const struct stream *s, uint64_t block, uint64_t seq, int64_t now_us)
{
	int64_t took_us;
	int rc;

	pthread_mutex_lock(&run->log_lock);
	rc = acklog_event(run->log_fd, what, s->number, block, seq, now_us);
	pthread_mutex_unlock(&run->log_lock);
	took_us = clock_now_us() - now_us;
	pthread_mutex_lock(&run->lock);
	run->log_longest_us = MAX(run->log_longest_us, took_us);
	if (rc < 0 && !run->log_error) {
		run->log_error = -rc;
		request_stop(run);
	}
	pthread_mutex_unlock(&run->lock);
}

static void begin(struct stream *s)
{
	pthread_mutex_lock(&s->run->lock);
	stats_begin(&s->run->stats, s->number, clock_now_us());
	pthread_mutex_unlock(&s->run->lock);
}

static int64_t end(struct stream *s, enum op op, int rc)
{
	struct run *run = s->run;
	int64_t now_us;

	/* The clock is read under the lock, so that it never goes back for the statistics. */
	pthread_mutex_lock(&run->lock);
	now_us = clock_now_us();
	if (rc < 0)
		stats_failure(&run->stats, s->number, op, now_us);
	else
		stats_success(&run->stats, s->number, op, now_us);
	pthread_mutex_unlock(&run->lock);
	if (rc < 0)
		s->due_us = now_us + AFTER_FAILURE_US;
	return now_us;
}

static void note(struct run *run, const struct example *e)
{
	bool again = run->found[e->block];

	if (e->finding == FINDING_FINE || again)
		return;
	run->found[e->block] = finding_is_fault(e->finding) || e->finding == FINDING_SUPERSEDED;
	pthread_mutex_lock(&run->lock);
	check_note(&run->check, e);
	pthread_mutex_unlock(&run->lock);
}

static void write_one(struct stream *s, uint64_t block)
{
	struct run *run = s->run;
	struct block_id id = { .run = run->head.run, .address = area_address(&run->area, block), .seq = ++run->known[block].issued,
			       .time_us = clock_now_us(), .stream = s->number };
	int64_t now_us;
	int rc;

	block_fill(s->b, &id);
	log_event(run, 'I', s, block, id.seq, id.time_us);
	begin(s);
	rc = area_write(&run->area, block, s->b);
	now_us = end(s, OP_WRITE, rc);
	if (rc == 0)
		run->known[block].acked = id.seq;
	log_event(run, rc == 0 ? 'A' : 'E', s, block, id.seq, now_us);
}

/* in_the_end: what cannot be read now counts as unreadable; while the run lasts it is only an error. */
static void read_one(struct stream *s, uint64_t block, bool in_the_end)
{
	struct run *run = s->run;
	struct example e = { .block = block, .known = run->known[block] };
	int rc;

	begin(s);
	rc = area_read(&run->area, block, s->b);
	end(s, OP_READ, rc);
	if (rc == 0) {
		e.finding = block_judge(s->b, run->head.run, area_address(&run->area, block), &e.known, &e.newest, &e.oldest);
	} else if (in_the_end) {
		e.finding = FINDING_UNREADABLE;
		e.error = -rc;
	}
	/* What is unfinished can still be overwritten. */
	if (in_the_end || e.finding != FINDING_UNFINISHED)
		note(run, &e);
}

/* --- a stream -------------------------------------------------------------------------------------------------------------------------*/

/* A block of this stream: those whose number leaves the stream's as remainder. */
static uint64_t choose(struct stream *s)
{
	const struct run *run = s->run;
	uint64_t limit = splitmix64(&s->random) % 4 == 0 && run->area.blocks > HOT_BLOCKS && run->depth <= HOT_BLOCKS ? HOT_BLOCKS :
															 run->area.blocks;
	uint64_t mine = (limit - s->number + run->depth - 1) / run->depth;

	return splitmix64(&s->random) % mine * run->depth + s->number;
}

/* Waits for the stream's turn, or for the end. */
static void pace(struct stream *s)
{
	struct pollfd end_of_run = { .fd = s->run->stop_event, .events = POLLIN };
	int64_t wait_us = s->due_us - clock_now_us();
	struct timespec t = { .tv_sec = wait_us / US_PER_S, .tv_nsec = wait_us % US_PER_S * 1000 };

	if (wait_us > 0 && ppoll(&end_of_run, 1, &t, NULL) < 0 && errno != EINTR)
		abort();
}

static void read_back(struct stream *s)
{
	struct run *run = s->run;

	for (uint64_t i = s->number; i < run->area.blocks && !run->give_up; i += run->depth) {
		if (!run->known[i].issued)
			continue;
		read_one(s, i, true);
		pthread_mutex_lock(&run->lock);
		run->check.blocks++;
		pthread_mutex_unlock(&run->lock);
	}
}

static void *stream_main(void *arg)
{
	struct stream *s = arg;
	struct run *run = s->run;
	int64_t interval_us = run->opt->rate ? US_PER_S / (int64_t)run->opt->rate : 0;

	while (!run->stop) {
		uint64_t block = choose(s);

		s->due_us = MAX(s->due_us + interval_us, clock_now_us());
		if (splitmix64(&s->random) % 100 < run->opt->read_percent)
			read_one(s, block, false);
		else
			write_one(s, block);
		pace(s);
	}
	read_back(s);
	pthread_mutex_lock(&run->lock);
	if (--run->running == 0)
		happen(run->done_event);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

static void start_streams(struct run *run, struct stream *streams, pthread_t *threads)
{
	run->running = run->depth;
	for (unsigned int i = 0; i < run->depth; i++) {
		uint64_t seed;

		if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
			seed = run->head.run + i;
		streams[i] = (struct stream){ .run = run, .number = i, .random = seed, .due_us = run->head.clock_us,
					      .b = aligned_alloc(PROBE_BLOCK_SIZE, sizeof(struct block)) };
		if (!streams[i].b || pthread_create(&threads[i], NULL, stream_main, &streams[i]) != 0)
			abort();
	}
}

static void join_streams(struct run *run, struct stream *streams, const pthread_t *threads)
{
	for (unsigned int i = 0; i < run->depth; i++) {
		pthread_join(threads[i], NULL);
		free(streams[i].b);
	}
}

/* --- the whole ------------------------------------------------------------------------------------------------------------------------*/

static struct report take_report(const struct run *run, int64_t now_us)
{
	return (struct report){ .path = run->head.path, .offset = run->head.offset, .n_blocks = run->head.blocks, .run = run->head.run,
				.wall_ms = run->head.wall_ms, .clock_us = run->head.clock_us, .writes = run->stats.done[OP_WRITE],
				.check = run->check, .stats = &run->stats, .streams = run->depth, .took_us = now_us - run->head.clock_us,
				.max_pause_ms = (int64_t)run->opt->max_pause_ms, .log_longest_us = run->log_longest_us,
				.log_problem = run->log_error ? strerror(run->log_error) : NULL };
}

static void write_status(struct run *run)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct report r;
	int rc;

	if (!run->opt->status)
		return;
	pthread_mutex_lock(&run->lock);
	r = take_report(run, clock_now_us());
	report_json(&r, false, &out);
	pthread_mutex_unlock(&run->lock);
	rc = file_replace(run->opt->status, strbuf_str(&out), out.len, 0644);
	if (rc < 0)
		fprintf(stderr, "lunward-probe: run: --status %s: %s\n", run->opt->status, strerror(-rc));
}

enum happened {
	HAPPENED_NOTHING,
	HAPPENED_SIGNAL,
	HAPPENED_EVENT
};

/* Waits for a signal or the event, until `until_us` at most. */
static enum happened wait_for(int signals, int event, int64_t until_us)
{
	struct pollfd fds[2] = { { .fd = signals, .events = POLLIN }, { .fd = event, .events = POLLIN } };
	int64_t left_us = MAX(until_us - clock_now_us(), 0);
	struct timespec t = { .tv_sec = left_us / US_PER_S, .tv_nsec = left_us % US_PER_S * 1000 };
	struct signalfd_siginfo info;

	if (ppoll(fds, 2, &t, NULL) < 0 && errno != EINTR)
		abort();
	if (fds[1].revents)
		return HAPPENED_EVENT;
	if (fds[0].revents && read(signals, &info, sizeof(info)) > 0)
		return HAPPENED_SIGNAL;
	return HAPPENED_NOTHING;
}

static void let_run(struct run *run, int signals)
{
	int64_t begin_us = run->head.clock_us, now_us = clock_now_us();
	int64_t end_us = run->opt->seconds ? begin_us + (int64_t)run->opt->seconds * US_PER_S : INT64_MAX;

	while (now_us < end_us && wait_for(signals, run->stop_event, MIN(end_us, now_us + STATUS_EVERY_US)) == HAPPENED_NOTHING) {
		write_status(run);
		now_us = clock_now_us();
	}
	request_stop(run);
}

/* Until all streams have read back what they wrote. What does not come back is waited for with patience, unless a second signal comes. */
static void let_end(struct run *run, int signals)
{
	int64_t patience_us = (int64_t)run->opt->patience * US_PER_S, until_us = clock_now_us() + patience_us;
	enum happened what = HAPPENED_NOTHING;

	while (what == HAPPENED_NOTHING && clock_now_us() < until_us) {
		what = wait_for(signals, run->done_event, until_us);
		pthread_mutex_lock(&run->lock);
		until_us = MAX(until_us, run->stats.last_success_us + patience_us);
		pthread_mutex_unlock(&run->lock);
	}
	if (what == HAPPENED_SIGNAL) {
		run->give_up = true;
		/* What can end now does so at once. */
		wait_for(signals, run->done_event, clock_now_us() + US_PER_S);
	}
}

/* Prints the result. Streams whose operations have not come back hold the process in the kernel; nothing here waits for them. */
static enum verdict conclude(struct run *run, bool *ret_stuck)
{
	_cleanup_strbuf_ struct strbuf reasons = { 0 };
	int64_t now_us = clock_now_us();
	enum verdict v;
	struct report r;

	pthread_mutex_lock(&run->lock);
	*ret_stuck = run->running > 0;
	r = take_report(run, now_us);
	r.stuck = stats_end(&run->stats, now_us);
	r.check.complete = !run->running && !run->give_up;
	if (!run->log_error && !*ret_stuck) {
		run->log_error = -acklog_end(run->log_fd, now_us);
		r.log_problem = run->log_error ? strerror(run->log_error) : NULL;
	}
	v = report_verdict(&r, &reasons);
	report_print(&r, run->opt->json);
	pthread_mutex_unlock(&run->lock);
	return v;
}

static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static enum verdict run_streams(struct run *run)
{
	_cleanup_free_ struct stream *streams = xcalloc(run->depth, sizeof(*streams));
	_cleanup_free_ pthread_t *threads = xcalloc(run->depth, sizeof(*threads));
	_cleanup_close_ int signals = take_signals();
	enum verdict v;
	bool stuck;

	run->stop_event = eventfd(0, EFD_CLOEXEC);
	run->done_event = eventfd(0, EFD_CLOEXEC);
	if (signals < 0 || run->stop_event < 0 || run->done_event < 0)
		abort();
	run->stats.last_success_us = run->head.clock_us;
	start_streams(run, streams, threads);
	let_run(run, signals);
	let_end(run, signals);
	v = conclude(run, &stuck);
	write_status(run);
	if (stuck) {
		if (fflush(stdout) != 0)
			v = VERDICT_UNDECIDED;
		_exit((int)v);
	}
	join_streams(run, streams, threads);
	close(run->stop_event);
	close(run->done_event);
	return v;
}

/* As it is found again from another folder. */
static char *absolute(const char *path)
{
	_cleanup_free_ char *cwd = path[0] == '/' ? NULL : get_current_dir_name();

	return cwd ? xasprintf("%s/%s", cwd, path) : xstrdup(path);
}

/* A run's number is the time at which it begins, so that later runs have greater ones. */
static int begin_run(struct run *run, struct err *err)
{
	const struct options *opt = run->opt;
	dev_t file_system;
	int rc = area_open(&run->area, &opt->area, err);

	if (rc < 0)
		return rc;
	if (run->area.blocks < run->depth)
		return err_set(err, -EINVAL, "%s: an area of %llu blocks is too small for %u streams", opt->area.path,
			       (unsigned long long)run->area.blocks, run->depth);
	rc = acklog_open(opt->log, &run->log_fd, &file_system, err);
	if (rc < 0)
		return rc;
	if (file_system && file_system == run->area.file_system)
		fprintf(stderr, "lunward-probe: run: the log is on the file system of the area: what strikes one may strike the other\n");
	run->head = (struct acklog_head){ .offset = run->area.offset, .blocks = run->area.blocks, .wall_ms = clock_wall_ms(),
					  .clock_us = clock_now_us(), .path = absolute(opt->area.path) };
	run->head.run = (uint64_t)run->head.wall_ms * 1000 + (uint64_t)run->head.clock_us % 1000;
	rc = acklog_head(run->log_fd, &run->head);
	return rc < 0 ? err_errno(err, rc, "--log %s", opt->log) : 0;
}

enum verdict probe_run(const struct options *opt, struct err *err)
{
	_cleanup_free_ struct run *run = xcalloc(1, sizeof(*run));
	enum verdict v = VERDICT_UNDECIDED;

	*run = (struct run){ .opt = opt, .area.fd = -1, .log_fd = -1, .depth = (unsigned int)opt->depth, .lock = PTHREAD_MUTEX_INITIALIZER,
			     .log_lock = PTHREAD_MUTEX_INITIALIZER, .stats.min_pause_us = (int64_t)opt->min_pause_ms * 1000 };
	if (begin_run(run, err) == 0) {
		run->known = xcalloc(run->area.blocks, sizeof(*run->known));
		run->found = xcalloc(run->area.blocks, sizeof(*run->found));
		v = run_streams(run);
	}
	free(run->known);
	free(run->found);
	free(run->head.path);
	area_close(&run->area);
	if (run->log_fd >= 0)
		close(run->log_fd);
	return v;
}
