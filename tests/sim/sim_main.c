// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs seeds: sim [--seeds N] [--first N] [--seed N] [--jobs N] [--verbose]. Ends with "N passed, N failed"; a failing seed is
 * printed with the line that replays it.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xalloc.h"

/* splitmix64: small, and good enough to decide what breaks next. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t sim_random(struct sim *sim, uint32_t below)
{
	return below ? (uint32_t)(next_random(&sim->rng) % below) : 0;
}

bool sim_chance(struct sim *sim, uint32_t percent)
{
	return sim_random(sim, 100) < percent;
}

int64_t sim_between(struct sim *sim, int64_t low, int64_t high)
{
	return low + sim_random(sim, (uint32_t)(high - low + 1));
}

void sim_log(struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	if (!sim->verbose)
		return;
	printf("%8.3f ", (double)sim->now_ms / 1000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sim->failure, sizeof(sim->failure), fmt, ap);
	va_end(ap);
	longjmp(sim->failed, 1);
}

/* --- queue ---*/

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void swap(struct event *a, struct event *b)
{
	struct event t = *a;

	*a = *b;
	*b = t;
}

void sim_at(struct sim *sim, int64_t delay_ms, event_fn *fn, int node, uint64_t a, uint64_t b, void *p)
{
	struct event *event = array_push(sim->heap, sim->n_heap, sim->cap_heap);
	size_t at = sim->n_heap - 1;

	*event = (struct event){ .at_ms = sim->now_ms + delay_ms, .order = sim->order++, .fn = fn, .node = node, .a = a,
				 .b = b, .p = p };
	while (at && is_before(&sim->heap[at], &sim->heap[(at - 1) / 2])) {
		swap(&sim->heap[at], &sim->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

static struct event take_first(struct sim *sim)
{
	struct event first = sim->heap[0];
	size_t at = 0;

	sim->heap[0] = sim->heap[--sim->n_heap];
	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sim->n_heap; child++) {
			if (is_before(&sim->heap[child], &sim->heap[least]))
				least = child;
		}
		if (least == at)
			return first;
		swap(&sim->heap[at], &sim->heap[least]);
		at = least;
	}
}

/* --- one seed ---*/

static void run_until(struct sim *sim, int64_t until_ms)
{
	while (sim->n_heap && sim->heap[0].at_ms <= until_ms) {
		struct event event = take_first(sim);

		sim->now_ms = event.at_ms;
		event.fn(sim, event.node, event.a, event.b, event.p);
		check_storage(sim);
	}
	sim->now_ms = until_ms;
}

static void build_world(struct sim *sim)
{
	sim->n = sim_chance(sim, 75) ? 3 : 5;
	sim->n_groups = (int)sim_between(sim, 1, MAX_GROUPS);
	sim->fence_luck = (int)sim_between(sim, 20, 100);
	sim->temper = (int)sim_between(sim, 0, 40);
	sim->disk_ms = sim_chance(sim, 70) ? 10 : 1500;
	sim->refused = sim_chance(sim, 60) ? 1 : 12;
	sim->lossy = sim_chance(sim, 10);
	sim->token_ms = sim_chance(sim, 70) ? 2 : 40;
	sim->busy = sim_chance(sim, sim->lossy ? 80 : 25);
	sim->next_write = 1;
	sim->next_uuid = 2;
	for (int i = 0; i < sim->n; i++) {
		/* Ids need be neither small nor dense. */
		sim->machines[i].id = (uint32_t)(10 + 7 * i);
		sim->machines[i].inbox_tail = &sim->machines[i].inbox;
		sim->machines[i].sendq_tail = &sim->machines[i].sendq;
	}
	for (int i = 0; i < sim->n_groups; i++) {
		struct group *group = &sim->groups[i];

		snprintf(group->name, sizeof(group->name), "g%d", i);
		group->shared = sim_chance(sim, 30);
		group->nodes[0] = (int)sim_random(sim, (uint32_t)sim->n);
		group->nodes[1] = (group->nodes[0] + 1 + (int)sim_random(sim, (uint32_t)sim->n - 1)) % sim->n;
		group->copies[0].uuid = group->copies[1].uuid = 1;
		group->top_owner = -1;
	}
	for (int i = 0; i < sim->n; i++)
		machine_boot(sim, i);
	storage_start(sim);
	faults_start(sim);
}

static void run_seed(struct sim *sim)
{
	build_world(sim);
	run_until(sim, FAULT_MS);
	sim->healing = true;
	sim_log(sim, "--- healing");
	faults_start(sim);
	for (int64_t at = FAULT_MS + 5000; at <= FAULT_MS + HEAL_MS; at += 5000) {
		run_until(sim, at);
		if (check_well(sim, false))
			break;
	}
	(void)check_well(sim, true);
	check_configs(sim);
	for (int i = 0; i < sim->n_groups; i++)
		check_records(sim, i, sim->groups[i].nodes[0], UINT64_MAX);
}

static void free_world(struct sim *sim)
{
	for (int i = 0; i < sim->n; i++) {
		struct machine *m = &sim->machines[i];

		ha_core_free(m->core);
		while (m->inbox) {
			struct item *item = m->inbox;

			m->inbox = item->next;
			free(item->data);
			free(item->groups);
			free(item);
		}
		free(m->disk);
		free(m->writing);
	}
	cpg_free(sim);
	free(sim->heap);
	free(sim->seen);
}

/* --- many ---*/

static bool run_one(uint64_t seed, bool verbose, uint64_t coverage[16])
{
	struct sim *sim = xcalloc(1, sizeof(*sim));
	bool ok = true;

	sim->seed = sim->rng = seed;
	sim->verbose = verbose;
	if (setjmp(sim->failed)) {
		ok = false;
		printf("seed %llu: at %.3f s: %s\n    replay: build/gcc/tests/sim/sim --seed %llu --verbose\n",
		       (unsigned long long)seed, (double)sim->now_ms / 1000, sim->failure, (unsigned long long)seed);
	} else {
		run_seed(sim);
	}
	for (int i = 0; i < 16; i++)
		coverage[i] += (uint64_t)sim->coverage[i];
	if (verbose)
		printf("%llu steps\n", (unsigned long long)sim->steps);
	free_world(sim);
	free(sim);
	return ok;
}

struct tally {
	uint64_t passed, failed;
	uint64_t coverage[16];
};

static void run_share(uint64_t first, uint64_t n, uint64_t share, uint64_t shares, bool stop, int fd)
{
	struct tally tally = { .passed = 0 };

	for (uint64_t seed = first + share; seed < first + n && !(stop && tally.failed); seed += shares) {
		if (run_one(seed, false, tally.coverage))
			tally.passed++;
		else
			tally.failed++;
	}
	fflush(stdout);
	if (write(fd, &tally, sizeof(tally)) != sizeof(tally))
		_exit(2);
	_exit(0);
}

static int run_many(uint64_t first, uint64_t n, unsigned int jobs, bool stop, struct tally *ret)
{
	int fds[2];

	if (pipe(fds) < 0)
		return -errno;
	for (unsigned int i = 0; i < jobs; i++) {
		if (fork() == 0)
			run_share(first, n, i, jobs, stop, fds[1]);
	}
	close(fds[1]);
	for (unsigned int i = 0; i < jobs; i++) {
		struct tally tally;

		if (read(fds[0], &tally, sizeof(tally)) != sizeof(tally)) {
			ret->failed++; /* one has crashed: what it had left is lost */
			printf("a worker has crashed: run its seeds with --jobs 1\n");
			continue;
		}
		ret->passed += tally.passed;
		ret->failed += tally.failed;
		for (int k = 0; k < 16; k++)
			ret->coverage[k] += tally.coverage[k];
	}
	while (wait(NULL) > 0)
		;
	close(fds[0]);
	return 0;
}

static void print_coverage(const struct tally *tally)
{
	printf("takeovers %llu, moves %llu, fencings %llu, outdated copies %llu, acknowledged writes %llu,\n"
	       "one-sided deliveries %llu, snapshots %llu, new epochs in place %llu, late evidence %llu, resyncs %llu, records %llu (overtaken %llu)\n",
	       (unsigned long long)tally->coverage[COVER_TAKEOVER], (unsigned long long)tally->coverage[COVER_MOVE],
	       (unsigned long long)tally->coverage[COVER_FENCE], (unsigned long long)tally->coverage[COVER_OUTDATE],
	       (unsigned long long)tally->coverage[COVER_WRITE],
	       (unsigned long long)tally->coverage[COVER_TRANSITIONAL],
	       (unsigned long long)tally->coverage[COVER_SNAPSHOT], (unsigned long long)tally->coverage[COVER_LOST],
	       (unsigned long long)tally->coverage[COVER_LATE_EVIDENCE],
	       (unsigned long long)tally->coverage[COVER_RESYNC], (unsigned long long)tally->coverage[COVER_RECORD],
	       (unsigned long long)tally->coverage[COVER_STALE_RECORD]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", required_argument, NULL, 'n' },   { "first", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' },    { "jobs", required_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' },	     { "stop", no_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t first = 1, n = 1000;
	unsigned int jobs = (unsigned int)MAX(1l, sysconf(_SC_NPROCESSORS_ONLN));
	bool verbose = false, single = false, stop = false;
	struct tally tally = { .passed = 0 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			n = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			first = strtoull(optarg, NULL, 0);
			break;
		case 's':
			first = strtoull(optarg, NULL, 0);
			single = true;
			break;
		case 'j':
			jobs = MAX(1u, (unsigned int)strtoul(optarg, NULL, 0));
			break;
		case 'v':
			verbose = true;
			break;
		case 'x':
			stop = true;
			break;
		default:
			fprintf(stderr, "usage: sim [--seeds N] [--first N] [--seed N] [--jobs N] [--stop] [--verbose]\n");
			return 2;
		}
	}
	if (single) {
		if (run_one(first, verbose, tally.coverage))
			tally.passed = 1;
		else
			tally.failed = 1;
	} else if (run_many(first, n, jobs, stop, &tally) < 0) {
		return 2;
	}
	print_coverage(&tally);
	printf("%llu passed, %llu failed\n", (unsigned long long)tally.passed, (unsigned long long)tally.failed);
	return tally.failed || !tally.passed ? 1 : 0;
}
