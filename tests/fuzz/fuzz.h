/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entry of a fuzz target: libFuzzer calls it with made-up inputs (`make fuzz`), tests/fuzz/replay.c with stored ones. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
