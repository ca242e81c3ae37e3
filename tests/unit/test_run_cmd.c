// SPDX-License-Identifier: GPL-2.0-or-later
/* Real programs, each chosen for one way to make the caller of a program hang, leak or die. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"

#define DEADLINE_MS 20000

/* Tests may use a shell as the program under test; the product never does. */
static int run_sh(const char *script, const char *input, int deadline_ms, char **ret_output, int *ret_status, struct err *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct run_cmd cmd = { .argv = argv, .input = input, .deadline_ms = deadline_ms };

	return run_cmd(&cmd, ret_output, ret_status, err);
}

static void output_is_returned(void **state)
{
	_cleanup_free_ char *output = NULL;
	struct err err = ERR_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(run_sh("echo out; echo err >&2", NULL, DEADLINE_MS, &output, &status, &err), 0);
	assert_string_equal(output, "out\n");
	assert_int_equal(status, 0);
}

static void exit_status_and_words_are_reported(void **state)
{
	_cleanup_free_ char *output = NULL;
	struct err err = ERR_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(run_sh("echo half; echo 'no such volume' >&2; echo 'ask lvs' >&2; exit 5", NULL, DEADLINE_MS, &output,
				&status, &err),
			 -EREMOTEIO);
	assert_int_equal(status, 5);
	assert_string_equal(output, "half\n");
	assert_non_null(strstr(err.text, "exit status 5: no such volume; ask lvs"));
	assert_int_equal(err.text[strlen(err.text) - 1], 's');
}

static void missing_program(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_cmdl(&err, DEADLINE_MS, "lunward-no-such-program", "x", NULL), -ENOENT);
	assert_non_null(strstr(err.text, "lunward-no-such-program x: No such file"));
}

static void signal_is_an_error(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_sh("kill -SEGV $$", NULL, DEADLINE_MS, NULL, NULL, &err), -EREMOTEIO);
	assert_non_null(strstr(err.text, "killed by signal 11"));
}

static void deadline_kills_the_whole_group(void **state)
{
	char path[] = "/tmp/test_run_cmd.XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_free_ char *script = NULL;
	struct err err = ERR_INIT;
	int64_t before_ms = clock_now_ms();
	char pids[64] = "";

	(void)state;
	/* The grandchild ignores SIGTERM and keeps the pipes open. */
	script = xasprintf("(trap '' TERM; exec sleep 1000) & echo $! >%s; echo waiting; wait", path);
	assert_int_equal(run_sh(script, NULL, 300, NULL, NULL, &err), -ETIMEDOUT);
	assert_true(clock_now_ms() - before_ms < 10000);
	assert_non_null(strstr(err.text, "not done after 300 ms, killed: waiting"));
	assert_true(read(fd, pids, sizeof(pids) - 1) > 0);
	/* Signal 0 finds it until init has reaped it: ask until it is gone; the test's own timeout ends a failure. */
	while (kill(atoi(pids), 0) == 0)
		;
	assert_int_equal(errno, ESRCH);
	unlink(path);
}

static void background_daemon_does_not_delay(void **state)
{
	_cleanup_free_ char *output = NULL;
	struct err err = ERR_INIT;
	int64_t before_ms = clock_now_ms();

	(void)state;
	/* Holds standard output and error open after the program itself has ended. */
	assert_int_equal(run_sh("sleep 30 & echo $!", NULL, 60000, &output, NULL, &err), 0);
	assert_true(clock_now_ms() - before_ms < 20000);
	assert_int_equal(kill(atoi(output), SIGKILL), 0);
}

static void big_streams_both_ways_do_not_deadlock(void **state)
{
	size_t size = 900 * 1024;
	_cleanup_free_ char *input = xcalloc(size + 1, 1), *output = NULL;
	struct err err = ERR_INIT;

	(void)state;
	memset(input, 'x', size);
	/* More than a pipe holds on all three descriptors at the same time. */
	assert_int_equal(run_sh("tee /dev/stderr", input, DEADLINE_MS, &output, NULL, &err), 0);
	assert_int_equal(strlen(output), size);
	assert_memory_equal(output, input, size);
}

static void endless_output_is_bounded(void **state)
{
	_cleanup_free_ char *output = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_sh("head -c 3000000 /dev/zero", NULL, DEADLINE_MS, &output, NULL, &err), -EFBIG);
	assert_null(output);
	assert_int_equal(run_sh("yes", NULL, 300, NULL, NULL, &err), -ETIMEDOUT);
	assert_int_equal(run_sh("yes >&2", NULL, 300, NULL, NULL, &err), -ETIMEDOUT);
}

static void unread_input_does_not_kill_us(void **state)
{
	size_t size = 900 * 1024;
	_cleanup_free_ char *input = xcalloc(size + 1, 1);
	struct err err = ERR_INIT;

	(void)state;
	memset(input, 'x', size);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(run_sh("exec <&-; exit 0", input, DEADLINE_MS, NULL, NULL, &err), 0);
	assert_int_equal(run_sh("sleep 1000", input, 300, NULL, NULL, &err), -ETIMEDOUT);
	assert_null(strstr(err.text, "xxx"));
}

static void program_starts_clean(void **state)
{
	int leaked = open("/dev/null", O_RDONLY); /* deliberately without O_CLOEXEC */
	_cleanup_free_ char *output = NULL;
	struct err err = ERR_INIT;
	sigset_t set, old;

	(void)state;
	setenv("LC_ALL", "de_DE.UTF-8", 1);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	/* The kernel's own view: descriptor 3 is the folder that ls reads. */
	assert_int_equal(run_sh("ls /proc/self/fd; echo $LC_ALL; grep SigBlk /proc/self/status; cat", NULL, DEADLINE_MS, &output,
				NULL, &err),
			 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	unsetenv("LC_ALL");
	close(leaked);
	assert_string_equal(output, "0\n1\n2\n3\nC\nSigBlk:\t0000000000000000\n");
}

static void no_zombie_is_left(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_cmdl(&err, DEADLINE_MS, "true", NULL), 0);
	assert_int_equal(run_sh("sleep 1000", NULL, 100, NULL, NULL, &err), -ETIMEDOUT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

#define HELD_S 15

static pid_t start_idle_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	return pid;
}

/* A child that its parent cannot reap although it was killed, as one that sleeps in the kernel: a tracer that does not look holds
 * it. Returns the tracer, or 0 if this machine does not let it trace. */
static pid_t start_tracer(pid_t victim)
{
	int fds[2];
	char said = 'n';
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		alarm(HELD_S); /* a caller that waits fails, rather than hang */
		said = ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0 ? 'y' : 'n';
		if (write(fds[1], &said, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(fds[0], &said, 1), 1);
	close(fds[0]);
	close(fds[1]);
	if (said == 'y')
		return pid;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

static void wait_until_reaped(pid_t pid)
{
	int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;

	/* A zombie still has its number. */
	while (kill(pid, 0) == 0)
		assert_true(clock_now_ms() < deadline_ms);
	assert_int_equal(errno, ESRCH);
}

static void killing_does_not_wait(void **state)
{
	int64_t before_ms = clock_now_ms();
	pid_t victim = start_idle_child(), tracer = start_tracer(victim);

	(void)state;
	if (!tracer) {
		kill(victim, SIGKILL);
		waitpid(victim, NULL, 0);
		skip(); /* tracing is not allowed here */
	}
	run_cmd_kill(victim);
	assert_true(clock_now_ms() - before_ms < HELD_S * 1000 - 5000);
	assert_int_equal(kill(victim, 0), 0); /* it really could not be reaped */
	assert_int_equal(kill(tracer, SIGKILL), 0);
	assert_int_equal(waitpid(tracer, NULL, 0), tracer);
	wait_until_reaped(victim);
}

static void killed_child_is_reaped(void **state)
{
	pid_t pid = start_idle_child();

	(void)state;
	run_cmd_kill(pid);
	wait_until_reaped(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_is_returned),
		cmocka_unit_test(exit_status_and_words_are_reported),
		cmocka_unit_test(missing_program),
		cmocka_unit_test(signal_is_an_error),
		cmocka_unit_test(deadline_kills_the_whole_group),
		cmocka_unit_test(background_daemon_does_not_delay),
		cmocka_unit_test(big_streams_both_ways_do_not_deadlock),
		cmocka_unit_test(endless_output_is_bounded),
		cmocka_unit_test(unread_input_does_not_kill_us),
		cmocka_unit_test(program_starts_clean),
		cmocka_unit_test(no_zombie_is_left),
		cmocka_unit_test(killing_does_not_wait),
		cmocka_unit_test(killed_child_is_reaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
