// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fixed piece of work, of the kinds that emulation makes slow by different factors: computing, memory, system calls. Prints the
 * nanoseconds it took: the best of some rounds ("best": what the machine can do) or their mean ("mean": what one gets of it now).
 * The mean in a VM divided by the best outside tells how slow things are there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 20
#define STEPS 2000000
#define SYSCALLS 20000
#define CELLS (1 << 18)

static uint32_t cells[CELLS];

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static uint32_t work(uint32_t x)
{
	for (int i = 0; i < STEPS; i++) {
		x = x * 1664525 + 1013904223;
		cells[x >> 14] += x;
	}
	for (int i = 0; i < SYSCALLS; i++)
		x += (uint32_t)syscall(SYS_getppid);
	return x;
}

int main(int argc, char **argv)
{
	int64_t best = INT64_MAX, sum = 0;
	uint32_t x = 1;

	if (argc != 2 || (strcmp(argv[1], "best") && strcmp(argv[1], "mean"))) {
		fprintf(stderr, "usage: cpu-loop best|mean\n");
		return 2;
	}
	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin = now_ns(), took;

		x = work(x);
		took = now_ns() - begin;
		sum += took;
		if (took < best)
			best = took;
	}
	/* The result goes somewhere, so that the work is done. */
	if (x == 0)
		fprintf(stderr, "zero\n");
	printf("%" PRId64 "\n", argv[1][0] == 'b' ? best : sum / ROUNDS);
	return 0;
}
