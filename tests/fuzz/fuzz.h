/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entry of a fuzz target: libFuzzer calls it with made-up inputs (`make fuzz`), tests/fuzz/replay.c with stored ones. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a target promises; in every build, other than assert(). */
static inline void require(bool holds)
{
	if (!holds)
		abort();
}

#endif
