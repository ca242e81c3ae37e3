// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints the frequency of this machine's time stamp counter, which emulated processors share. A guest that measures it while QEMU does
 * not get the processor is off by any factor, and its clock with it; so we tell the guest (tsc_early_khz).
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define TRIES 20
#define INTERVAL_US 200000

struct moment {
	int64_t ns;
	uint64_t ticks;
};

/* A reading of both clocks between which nothing else happened: the one that took the shortest. */
static struct moment look(void)
{
	struct moment best = { 0 };
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), after;
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		after = __rdtsc();
		if (after - before >= shortest)
			continue;
		shortest = after - before;
		best.ticks = before + shortest / 2;
		best.ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	}
	return best;
}

int main(void)
{
	struct moment a = look(), b;

	usleep(INTERVAL_US);
	b = look();
	printf("%" PRIu64 "\n", (b.ticks - a.ticks) * 1000000 / (uint64_t)(b.ns - a.ns));
	return 0;
}
