/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads that leave signals to the one that runs the loop, and where those hang that hang. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include "base/compiler.h"

/* Starts fn(ctx) with all signals blocked; it ends when fn returns. ret NULL: nobody joins it. 0 or -EAGAIN. Does not block. */
int thread_start(pthread_t *ret, void *(*fn)(void *ctx), void *ctx) must_check;

/*
 * Where in the kernel threads of a process wait that nothing can wake but the kernel (state D): "function, function", each once, as far as it
 * fits; "" if there is none or it cannot be told. `tasks`: "/proc/self/task".
 */
void threads_in_kernel(const char *tasks, char *ret, size_t size);

#endif
