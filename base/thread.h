/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads that leave signals to the one that runs the loop. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

#include "base/compiler.h"

/* Starts fn(ctx) with all signals blocked; it ends when fn returns. ret NULL: nobody joins it. 0 or -EAGAIN. Does not block. */
int thread_start(pthread_t *ret, void *(*fn)(void *ctx), void *ctx) must_check;

#endif
