/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a program to its end, with a deadline: execve with an argument vector, never a shell.
 * Blocks: workers only, but for run_cmd_kill().
 */
#ifndef BASE_RUN_CMD_H
#define BASE_RUN_CMD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

#define RUN_CMD_OUTPUT_MAX (1024 * 1024)

struct run_cmd {
	const char *const *argv; /* argv[0] is looked up in PATH; NULL-terminated */
	const char *input;       /* bytes for standard input (NULL: /dev/null); never shown in errors */
	int deadline_ms;         /* after it the process group gets SIGKILL; must be > 0 */
};

/* Runs and waits. Returns 0 when the program exited with 0. Otherwise a negative errno with the first lines of its
 * output in *err: -ETIMEDOUT after the deadline, -ENOENT if there is no such program, -EREMOTEIO for an exit status
 * other than 0 (in *ret_status) or a signal, -EFBIG if it printed more than RUN_CMD_OUTPUT_MAX, or the errno of fork and
 * friends. *ret_status is set whenever the program exited.
 * *ret_output (may be NULL): standard output, NUL-terminated, at most RUN_CMD_OUTPUT_MAX; set for 0 and -EREMOTEIO, caller
 * frees. The program sees the caller's environment with LC_ALL=C, no other descriptors than 0..2, no blocked signals. */
int run_cmd(const struct run_cmd *cmd, char **ret_output, int *ret_status, struct err *err) must_check;

/* The common case: `run_cmdl(err, deadline_ms, "drbdsetup", "primary", "0", NULL)`, output discarded. */
int run_cmdl(struct err *err, int deadline_ms, const char *prog, ...) __attribute__((sentinel)) must_check;

/* Ends a child that somebody else has started. Never blocks: one that sleeps in the kernel is reaped whenever it gets out. */
void run_cmd_kill(pid_t pid);

#endif
