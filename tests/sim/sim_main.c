// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs seeds: sim [--seeds N] [--first N] [--seed N] [--script LIST] [--jobs N] [--stop] [--no-shrink] [--liar] [--lossy]
 * [--watchdogs] [--figures FILE] [--verbose]. Ends with "N passed, N failed"; a failing seed is cut down to the faults it needs and printed as one line that
 * replays it. --lossy: the worst network in all seeds, not in some. --watchdogs: in all. --liar: fencing lies, which breaks what the protocol rests on; passes if that is noticed.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/xalloc.h"

#define RESTLESS_MAX 10 /* seen: 4 in 4,000 scenarios */

/* splitmix64: small, and good enough to decide what breaks next. */
uint64_t sim_next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t sim_random(struct sim *sim, uint32_t below)
{
	return below ? (uint32_t)(sim_next_random(&sim->rng) % below) : 0;
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

static void push_event(struct sim *sim, const struct event *event)
{
	size_t at;

	*array_push(sim->heap, sim->n_heap, sim->cap_heap) = *event;
	at = sim->n_heap - 1;
	while (at && is_before(&sim->heap[at], &sim->heap[(at - 1) / 2])) {
		swap(&sim->heap[at], &sim->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

#define NOT_FIRST (1ull << 62)

void sim_at(struct sim *sim, int64_t delay_ms, event_fn *fn, int node, uint64_t a, uint64_t b, void *p)
{
	push_event(sim, &(struct event){ .at_ms = sim->now_ms + delay_ms, .order = NOT_FIRST | sim->order++, .fn = fn,
					 .node = node, .a = a, .b = b, .p = p });
}

void sim_first_at(struct sim *sim, int64_t delay_ms, event_fn *fn, uint64_t a, void *p)
{
	push_event(sim, &(struct event){ .at_ms = sim->now_ms + delay_ms, .order = sim->order++, .fn = fn, .a = a, .p = p });
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
	sim->lossy = sim_chance(sim, 10) || sim->rough;
	if (sim->rough)
		sim->temper = 0; /* so that terms are long and an old message still counts */
	sim->token_ms = sim_chance(sim, 70) ? 2 : 40;
	sim->busy = sim_chance(sim, sim->lossy ? 80 : 25) || sim->rough;
	sim->single = !sim->liar && !sim->rough && sim_chance(sim, 8);
	if (sim->single) {
		sim->disk_ms = 10;
		sim->temper = sim->refused = 0;
		sim->lossy = sim->busy = false;
	}
	sim->calm_ms = sim_chance(sim, 50) ? sim_between(sim, 3000, 15000) : 600000;
	sim->start_wait_ms = sim_chance(sim, 50) ? sim_between(sim, 1000, 20000) : 0;
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
		group->quorum = !group->shared && !sim->single && sim_chance(sim, 15);
		group->nodes[0] = (int)sim_random(sim, (uint32_t)sim->n);
		group->nodes[1] = (group->nodes[0] + 1 + (int)sim_random(sim, (uint32_t)sim->n - 1)) % sim->n;
		do
			group->tie = (int)sim_random(sim, (uint32_t)sim->n);
		while (storage_side(group, group->tie) >= 0);
		group->copies[0].uuid = group->copies[1].uuid = 1;
		group->top_owner = -1;
	}
	watchdogs_build(sim);
	for (int i = 0; i < sim->n; i++)
		machine_boot(sim, i);
	storage_start(sim);
	faults_start(sim);
}

/* Putting all right takes a few new owners and epochs of a group: one that goes to and fro takes ever more. */
static void check_oscillation(struct sim *sim)
{
	for (int i = 0; i < sim->n_groups; i++) {
		if (sim->groups[i].n_restless > RESTLESS_MAX)
			sim_fail(sim, "%s: was acquired %d times after the last fault", sim->groups[i].name, sim->groups[i].n_restless);
	}
}

/* Counts what comes from outside: a fence agent's late success, a disk that was too slow for a round. */
static uint64_t disturbances(const struct sim *sim)
{
	uint64_t n = sim->machines[0].core ? sim->machines[0].core->promised : 0;

	for (int i = 0; i < sim->n; i++)
		n += sim->machines[i].life + !agent_runs(sim, i);
	return n;
}

/* All is well: then nothing moves any more, also not when the longest delay of a failback is over. */
static void check_rest(struct sim *sim)
{
	uint64_t epochs = check_epochs(sim), disturbed = disturbances(sim);

	run_until(sim, sim->now_ms + FAILBACK_MAX_S * 1000 + 5000);
	if (disturbances(sim) != disturbed)
		return;
	sim->coverage[COVER_REST]++;
	for (int i = 0; i < 5 && !check_well(sim, false); i++) /* a command may be on its way: losses are forgiven */
		run_until(sim, sim->now_ms + 1000);
	if (disturbances(sim) == disturbed)
		(void)check_well(sim, true);
	if (check_epochs(sim) != epochs)
		sim_fail(sim, "all was well, and something has moved all the same");
}

static void run_seed(struct sim *sim)
{
	int64_t until_ms;

	build_world(sim);
	until_ms = sim->single ? SINGLE_MS : FAULT_MS;
	run_until(sim, until_ms);
	if (sim->single) {
		/* An outage may have begun just now: who cannot write its state serves until its orders fill its window. */
		for (int i = 0; i < OUTAGE_MAX_S && !check_served(sim, false); i++)
			run_until(sim, sim->now_ms + 1000);
		(void)check_served(sim, true);
		until_ms = sim->now_ms;
	}
	sim->healing = true;
	sim_log(sim, "--- healing");
	faults_start(sim);
	for (int64_t at = until_ms + 5000; at <= until_ms + HEAL_MS; at += 5000) {
		run_until(sim, at);
		if (check_well(sim, false))
			break;
	}
	(void)check_well(sim, true);
	check_configs(sim);
	for (int i = 0; i < sim->n_groups; i++)
		check_records(sim, i, sim->groups[i].nodes[0], UINT64_MAX);
	check_oscillation(sim);
	if (sim_chance(sim, 25))
		check_rest(sim);
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

struct totals {
	uint64_t passed, failed;
	uint64_t cpu_us;
	uint64_t coverage[COVERS];
	uint64_t transitions[HA_CMD_COUNT][HA_PHASE_COUNT][HA_PHASE_COUNT];
};

static struct sim *new_sim(const struct plan *plan)
{
	struct sim *sim = xcalloc(1, sizeof(*sim));

	sim->seed = sim->rng = plan->seed;
	sim->trouble_rng = ~plan->seed;
	sim->verbose = plan->verbose;
	sim->liar = plan->liar;
	sim->rough = plan->lossy;
	sim->watchdogs = plan->watchdogs;
	sim->scripted = plan->scripted;
	sim->script = plan->script;
	sim->n_script = plan->n_script;
	return sim;
}

static void free_sim(struct sim *sim)
{
	free_world(sim);
	free(sim->told);
	free(sim);
}

/* False: something must not have happened; sim->failure says what. */
static bool run_sim(struct sim *sim)
{
	if (setjmp(sim->failed))
		return false;
	run_seed(sim);
	return true;
}

bool sim_fails(const struct plan *plan, char failure[512], struct fault **ret_told, size_t *ret_n_told)
{
	struct sim *sim = new_sim(plan);
	bool fails = !run_sim(sim);

	memcpy(failure, sim->failure, sizeof(sim->failure));
	if (ret_told) {
		*ret_told = steal_ptr(sim->told);
		*ret_n_told = sim->n_told;
	}
	free_sim(sim);
	return fails;
}

static bool run_one(const struct plan *plan, bool shrink, struct totals *totals)
{
	struct sim *sim = new_sim(plan);
	bool ok = run_sim(sim);

	for (int i = 0; i < COVERS; i++)
		totals->coverage[i] += (uint64_t)sim->coverage[i];
	for (size_t i = 0; i < sizeof(sim->transitions) / sizeof(int); i++)
		(&totals->transitions[0][0][0])[i] += (uint64_t)(&sim->transitions[0][0][0])[i];
	if (plan->verbose)
		printf("%llu steps\n", (unsigned long long)sim->steps);
	if (!ok && !plan->liar) {
		printf("seed %llu: at %.3f s: %s\n    replay: build/gcc/tests/sim/sim --seed %llu%s%s --verbose\n",
		       (unsigned long long)plan->seed, (double)sim->now_ms / 1000, sim->failure,
		       (unsigned long long)plan->seed, plan->lossy ? " --lossy" : "",
		       plan->watchdogs ? " --watchdogs" : "");
		if (shrink)
			script_shrink(plan, sim->told, sim->n_told);
		(void)fflush(stdout);
	}
	ok ? totals->passed++ : totals->failed++;
	free_sim(sim);
	return ok;
}

/* --- many ---*/

#define SHRINKS_MAX 3 /* of failing seeds, by each worker: more tell nothing new */

struct run {
	uint64_t first, n;
	unsigned int jobs;
	bool stop, shrink, liar, lossy, watchdogs;
};

static uint64_t cpu_us(void)
{
	struct rusage used;

	if (getrusage(RUSAGE_SELF, &used) < 0)
		return 0;
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void run_share(const struct run *run, uint64_t share, int fd)
{
	struct totals totals = { .passed = 0 };
	uint64_t tenth = MAX(run->n / 10, (uint64_t)50000), said = tenth;

	for (uint64_t i = share; i < run->n && !(run->stop && totals.failed); i += run->jobs) {
		struct plan plan = { .seed = run->first + i, .liar = run->liar, .lossy = run->lossy,
				     .watchdogs = run->watchdogs };

		(void)run_one(&plan, run->shrink && totals.failed < SHRINKS_MAX, &totals);
		if (share == 0 && i >= said) {
			printf("%llu of %llu seeds\n", (unsigned long long)i, (unsigned long long)run->n);
			(void)fflush(stdout);
			said += tenth;
		}
	}
	totals.cpu_us = cpu_us();
	(void)fflush(stdout);
	if (write(fd, &totals, sizeof(totals)) != sizeof(totals))
		_exit(2);
	_exit(0);
}

static void add_totals(struct totals *sum, const struct totals *more)
{
	sum->passed += more->passed;
	sum->failed += more->failed;
	sum->cpu_us += more->cpu_us;
	for (int i = 0; i < COVERS; i++)
		sum->coverage[i] += more->coverage[i];
	for (int i = 0; i < HA_CMD_COUNT * HA_PHASE_COUNT * HA_PHASE_COUNT; i++)
		(&sum->transitions[0][0][0])[i] += (&more->transitions[0][0][0])[i];
}

/* Each worker has a pipe of its own: what it writes at its end does not fit into one write that would be whole. */
static int run_many(const struct run *run, struct totals *ret)
{
	int *fds = xcalloc(run->jobs, sizeof(*fds));

	(void)fflush(stdout);
	for (unsigned int i = 0; i < run->jobs; i++) {
		int ends[2];

		if (pipe(ends) < 0)
			return -errno;
		if (fork() == 0) {
			close(ends[0]);
			run_share(run, i, ends[1]);
		}
		close(ends[1]);
		fds[i] = ends[0];
	}
	for (unsigned int i = 0; i < run->jobs; i++) {
		struct totals totals;

		if (read(fds[i], &totals, sizeof(totals)) == sizeof(totals)) {
			add_totals(ret, &totals);
		} else {
			ret->failed++; /* what it had left is lost */
			printf("a worker has crashed: run its seeds with --jobs 1\n");
		}
		close(fds[i]);
	}
	while (wait(NULL) > 0)
		;
	free(fds);
	return 0;
}

static void print_coverage(const struct totals *totals)
{
	static const char *const names[COVERS] = {
#define X(id, name) [COVER_##id] = name,
		COVERAGE(X)
#undef X
	};

	for (int i = 0; i < COVERS; i++)
		printf("%s%s %llu", !i ? "" : i % 5 ? ", " : ",\n", names[i], (unsigned long long)totals->coverage[i]);
	printf("\n");
}

static int judge(const struct totals *totals, int64_t wall_us, const char *figures)
{
	uint64_t n = totals->passed + totals->failed;
	double per_second = (double)n * 1e6 / (double)MAX(wall_us, 1), per_core = (double)n * 1e6 / (double)MAX(totals->cpu_us, 1u);
	size_t missing, seen = transitions_print(totals->transitions, &missing);
	const char *const names[] = { "scenarios", "violations", "per_second", "per_second_per_core", "transitions", "transitions_missing" };
	const double values[] = { (double)n, (double)totals->failed, per_second, per_core, (double)seen, (double)missing };

	print_coverage(totals);
	printf("%.0f scenarios a second, %.0f per second of one core\n", per_second, per_core);
	if (figures && figures_put(figures, names, values, ARRAY_SIZE(names)) < 0)
		return 2;
	for (int i = 0; i < COVERS; i++)
		missing += !totals->coverage[i] && i != COVER_LIE;
	/* A story that is never told any more proves nothing: in many seeds each way from state to state must have been gone. */
	if (n >= 20000 && missing) {
		printf("%zu of the transitions and of what is counted above did not happen: does a fault not happen any more?\n", missing);
		printf("%llu passed, %llu failed\n", (unsigned long long)totals->passed, (unsigned long long)totals->failed + 1);
		return 1;
	}
	printf("%llu passed, %llu failed\n", (unsigned long long)totals->passed, (unsigned long long)totals->failed);
	return totals->failed || !totals->passed ? 1 : 0;
}

/* The assumption, shown to be one: with evidence that is a lie there are two owners, and this program says so. */
static int judge_liar(const struct totals *totals)
{
	uint64_t n = totals->passed + totals->failed;

	printf("lies of fencing %llu; %llu of %llu seeds were broken by them\n",
	       (unsigned long long)totals->coverage[COVER_LIE], (unsigned long long)totals->failed,
	       (unsigned long long)n);
	printf("%d passed, %d failed\n", totals->failed ? 1 : 0, totals->failed ? 0 : 1);
	return totals->failed ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", required_argument, NULL, 'n' },  { "first", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' },   { "jobs", required_argument, NULL, 'j' },
		{ "script", required_argument, NULL, 'c' }, { "figures", required_argument, NULL, 'g' },
		{ "verbose", no_argument, NULL, 'v' },	    { "stop", no_argument, NULL, 'x' },
		{ "no-shrink", no_argument, NULL, 'k' },    { "liar", no_argument, NULL, 'l' },
		{ "lossy", no_argument, NULL, 'o' },	    { "watchdogs", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	struct run run = { .first = 1, .n = 1000, .shrink = true };
	struct plan plan = { .verbose = false };
	const char *figures = NULL;
	bool single = false;
	struct totals totals = { .passed = 0 };
	struct fault *script = NULL;
	int64_t start_us = clock_now_us();
	int option;

	run.jobs = (unsigned int)MAX(1l, sysconf(_SC_NPROCESSORS_ONLN));
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			run.n = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			run.first = strtoull(optarg, NULL, 0);
			break;
		case 's':
			plan.seed = strtoull(optarg, NULL, 0);
			single = true;
			break;
		case 'c':
			if (script_parse(optarg, &script, &plan.n_script) < 0) {
				fprintf(stderr, "--script %s: cannot be read\n", optarg);
				return 2;
			}
			plan.scripted = true;
			break;
		case 'j':
			run.jobs = MAX(1u, (unsigned int)strtoul(optarg, NULL, 0));
			break;
		case 'g':
			figures = optarg;
			break;
		case 'v':
			plan.verbose = true;
			break;
		case 'x':
			run.stop = true;
			break;
		case 'k':
			run.shrink = false;
			break;
		case 'l':
			run.liar = plan.liar = true;
			break;
		case 'o':
			run.lossy = plan.lossy = true;
			break;
		case 'w':
			run.watchdogs = plan.watchdogs = true;
			break;
		default:
			fprintf(stderr, "usage: sim [--seeds N] [--first N] [--seed N] [--script LIST] [--jobs N] [--stop] "
					"[--no-shrink] [--liar] [--lossy] [--watchdogs] [--figures FILE] [--verbose]\n");
			return 2;
		}
	}
	plan.script = script;
	if (single)
		(void)run_one(&plan, run.shrink && !plan.scripted, &totals);
	else if (run_many(&run, &totals) < 0)
		return 2;
	free(script);
	return run.liar && !single ? judge_liar(&totals) : judge(&totals, clock_now_us() - start_us, figures);
}
