/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A processor that is kept free of who may hold one for long, and who may run where. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <sys/types.h>

#include "base/compiler.h"

#define CPUS_LIST_SIZE 256

/*
 * Takes the last processor off a list as the kernel writes it and returns it ("0-3,8" -> "0-3", 8). The last: the first is always online, so what is
 * left is never empty. -1: there is but one, it is no such list, or too long. Pure.
 */
int cpus_take_last(const char *list, char ret_rest[CPUS_LIST_SIZE]) must_check;

/* The same of the processors that are online. */
int cpus_spare(char ret_rest[CPUS_LIST_SIZE]) must_check;

/* The calling thread keeps off that processor, unless it has no other. -1: off none. */
void cpus_keep_off(int cpu);

/* Lets a thread, also one of the kernel's that is bound to a processor by its mask, run on any: one that sleeps at once. Does nothing if it is
 * gone or the kernel does not allow it. */
void cpus_let_run_anywhere(pid_t tid);

#endif
