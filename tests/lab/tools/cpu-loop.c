// SPDX-License-Identifier: GPL-2.0-or-later
/* A fixed piece of computing; prints how many nanoseconds it took. Compared between VM and host, it tells how slow emulation is. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 100000000

int main(void)
{
	struct timespec a, b;
	uint64_t x = 88172645463325252;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < ROUNDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	/* The result is used, so that the loop is done. */
	if (x == 0)
		return 1;
	printf("%" PRId64 "\n", (b.tv_sec - a.tv_sec) * INT64_C(1000000000) + b.tv_nsec - a.tv_nsec);
	return 0;
}
