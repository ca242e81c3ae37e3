// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs as a function call. The deadline holds whatever the program does: its whole process group is killed, and a program
 * that cannot die (asleep in the kernel, as drbdsetup is while DRBD waits for something) is left to a reaper thread.
 */
#include "base/run_cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "base/thread.h"
#include "base/xalloc.h"

#define STDERR_KEPT 4096
#define KILL_GRACE_MS 500 /* a killed program normally ends at once */
#define ARGS_MAX 32

extern char **environ;

struct child {
	pid_t pid;
	int pidfd, in, out, err; /* parent's ends, -1 once closed */
	const char *input;
	size_t input_left;
	struct strbuf output, errors;
	bool output_cut;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void child_done(struct child *child)
{
	close_fd(&child->pidfd);
	close_fd(&child->in);
	close_fd(&child->out);
	close_fd(&child->err);
	strbuf_done(&child->output);
	strbuf_done(&child->errors);
}

/* "drbdsetup primary 0", without what would fill the operator's line. */
static char *describe(const char *const *argv)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };

	strbuf_add(&sb, argv[0]);
	for (size_t i = 1; argv[i] && sb.len < 120; i++)
		strbuf_addf(&sb, " %s", strlen(argv[i]) < 60 ? argv[i] : "...");
	return strbuf_steal(&sb);
}

/* The caller's environment with LC_ALL=C: what we parse must not be translated. Strings are borrowed. */
static char **c_locale_environment(void)
{
	static char c_locale[] = "LC_ALL=C";
	size_t n = 0, used = 0;
	char **env;

	while (environ && environ[n])
		n++;
	env = xcalloc(n + 2, sizeof(*env));
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LC_ALL=", 7) != 0)
			env[used++] = environ[i];
	env[used] = c_locale;
	return env;
}

static int open_pipe(int ret_fds[2], int parent_end)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/* Never blocks us; the program's end stays blocking, as programs expect. */
	if (fcntl(fds[parent_end], F_SETFL, O_NONBLOCK) < 0) {
		int rc = -errno;

		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

static int spawn(const struct run_cmd *cmd, const int fds[3], pid_t *ret_pid)
{
	_cleanup_free_ char **env = c_locale_environment();
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	/* dup2 to itself would keep close-on-exec: the pipes are never 0..2 in a process that has these open. */
	rc = posix_spawn_file_actions_adddup2(&actions, fds[0], 0);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, fds[2], 2);
	/* What some library opened without O_CLOEXEC must not live on in a daemon that an LVM command leaves behind. */
	rc = rc ? rc : posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	rc = rc ? rc : posix_spawnattr_setpgroup(&attr, 0);
	rc = rc ? rc : posix_spawnattr_setsigmask(&attr, &none);
	rc = rc ? rc : posix_spawnattr_setsigdefault(&attr, &all);
	rc = rc ? rc : posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
							       POSIX_SPAWN_SETSIGDEF);
	/* posix_spawn(3) wants char *const *; it does not write to the strings. */
	rc = rc ? rc : posix_spawnp(ret_pid, cmd->argv[0], &actions, &attr, (char *const *)(uintptr_t)cmd->argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

static int child_start(struct child *child, const struct run_cmd *cmd)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	int rc;

	if (cmd->input)
		rc = open_pipe(in, 1);
	else
		rc = (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0 ? -errno : 0;
	if (rc == 0)
		rc = open_pipe(out, 0);
	if (rc == 0)
		rc = open_pipe(err, 0);
	if (rc == 0)
		rc = spawn(cmd, (int[3]){ in[0], out[1], err[1] }, &child->pid);
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&err[1]);
	child->in = in[1];
	child->out = out[0];
	child->err = err[0];
	if (rc < 0)
		return rc;
	child->input = cmd->input;
	child->input_left = cmd->input ? strlen(cmd->input) : 0;
	if (child->input_left == 0)
		close_fd(&child->in);
	child->pidfd = pidfd_open(child->pid, 0);
	return 0;
}

/* write(2) that reports a closed pipe as EPIPE instead of raising SIGPIPE, whatever the process does with that signal. */
static ssize_t write_no_sigpipe(int fd, const void *data, size_t size)
{
	const struct timespec no_wait = { 0 };
	sigset_t sigpipe, old, pending;
	bool was_pending;
	ssize_t put;
	int saved;

	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
	put = write(fd, data, size);
	saved = errno;
	if (put < 0 && saved == EPIPE && !was_pending)
		while (sigtimedwait(&sigpipe, NULL, &no_wait) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return put;
}

static void feed(struct child *child)
{
	ssize_t put = write_no_sigpipe(child->in, child->input, child->input_left);

	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (put > 0) {
		child->input += put;
		child->input_left -= (size_t)put;
	}
	/* EPIPE: the program has read what it wanted; its exit status tells the rest. */
	if (put < 0 || child->input_left == 0)
		close_fd(&child->in);
}

/* Reads what is there now; closes *fd at its end. Returns whether something did not fit below `max`. */
static bool drain(int *fd, struct strbuf *sb, size_t max)
{
	bool cut = false;
	char chunk[4096];

	while (*fd >= 0) {
		ssize_t got = read(*fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0) {
			close_fd(fd);
			break;
		}
		cut |= (size_t)got > max - sb->len;
		strbuf_add_bytes(sb, chunk, MIN((size_t)got, max - sb->len));
	}
	return cut;
}

/* Moves bytes until the program has ended: 0 (a zombie then), or -ETIMEDOUT. Does not wait for the end of its output: a daemon it
 * left behind may hold that open for ever. */
static int converse(struct child *child, int64_t deadline_ms)
{
	for (;;) {
		/* poll(2) ignores negative descriptors. Without a pidfd (kernel before 5.3) look ten times a second. */
		struct pollfd fds[] = { { .fd = child->pidfd, .events = POLLIN },
					{ .fd = child->in, .events = POLLOUT },
					{ .fd = child->out, .events = POLLIN },
					{ .fd = child->err, .events = POLLIN } };
		int64_t left_ms = deadline_ms - clock_now_ms();
		siginfo_t info = { 0 };

		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (child->pidfd < 0)
			left_ms = MIN(left_ms, 100);
		if (poll(fds, ARRAY_SIZE(fds), (int)MIN(left_ms, (int64_t)INT_MAX)) < 0 && errno != EINTR)
			return -errno;
		if (child->in >= 0 && fds[1].revents)
			feed(child);
		child->output_cut |= drain(&child->out, &child->output, RUN_CMD_OUTPUT_MAX);
		(void)drain(&child->err, &child->errors, STDERR_KEPT);
		if (child->pidfd >= 0 && !fds[0].revents)
			continue;
		if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return -errno;
		if (info.si_pid != 0) {
			child->output_cut |= drain(&child->out, &child->output, RUN_CMD_OUTPUT_MAX);
			(void)drain(&child->err, &child->errors, STDERR_KEPT);
			return 0;
		}
	}
}

static void *reap(void *arg)
{
	while (waitpid((pid_t)(intptr_t)arg, NULL, 0) < 0 && errno == EINTR)
		;
	return NULL;
}

/* Without a thread it stays a zombie: that costs an entry in the process table, waiting could cost the caller. */
static void reap_later(pid_t pid)
{
	ignore_result(thread_start(NULL, reap, (void *)(intptr_t)pid));
}

/* Kills the group and reaps its leader; one that is stuck in the kernel is reaped by a thread whenever it gets out. */
static void destroy(struct child *child)
{
	struct pollfd fd = { .fd = child->pidfd, .events = POLLIN };

	kill(-child->pid, SIGKILL);
	if (child->pidfd >= 0 && poll(&fd, 1, KILL_GRACE_MS) > 0) {
		reap((void *)(intptr_t)child->pid);
		return;
	}
	reap_later(child->pid);
}

void run_cmd_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, WNOHANG) == 0)
		reap_later(pid);
}

/* The first lines of what the program said, on one line. */
static void quote_output(const struct child *child, char *ret_text, size_t size)
{
	const char *s = child->errors.len > 0 ? strbuf_str(&child->errors) : strbuf_str(&child->output);
	size_t len = 0;

	for (; *s && len + 2 < size; s++) {
		bool end_of_line = *s == '\n';

		if (end_of_line && (len == 0 || s[1] == '\0'))
			continue;
		if (end_of_line)
			ret_text[len++] = ';';
		ret_text[len++] = (unsigned char)*s < ' ' ? ' ' : *s;
	}
	ret_text[len] = '\0';
}

static int conclude(struct child *child, const char *what, int *ret_status, struct err *err)
{
	char text[ERR_TEXT_SIZE / 2];
	int status;

	while (waitpid(child->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, -errno, "%s", what);
	quote_output(child, text, sizeof(text));
	if (WIFSIGNALED(status))
		return err_set(err, -EREMOTEIO, "%s: killed by signal %d: %s", what, WTERMSIG(status), text);
	if (ret_status)
		*ret_status = WEXITSTATUS(status);
	if (WEXITSTATUS(status) != 0)
		return err_set(err, -EREMOTEIO, "%s: exit status %d: %s", what, WEXITSTATUS(status), text);
	if (child->output_cut)
		return err_set(err, -EFBIG, "%s: printed more than %d bytes", what, RUN_CMD_OUTPUT_MAX);
	return 0;
}

int run_cmd(const struct run_cmd *cmd, char **ret_output, int *ret_status, struct err *err)
{
	__attribute__((cleanup(child_done))) struct child child = { .pidfd = -1, .in = -1, .out = -1, .err = -1 };
	int64_t deadline_ms = clock_now_ms() + cmd->deadline_ms;
	_cleanup_free_ char *what = describe(cmd->argv);
	int rc;

	rc = child_start(&child, cmd);
	if (rc < 0)
		return err_errno(err, rc, "%s", what);
	rc = converse(&child, deadline_ms);
	if (rc < 0) {
		char text[ERR_TEXT_SIZE / 2];

		destroy(&child);
		quote_output(&child, text, sizeof(text));
		if (rc != -ETIMEDOUT)
			return err_errno(err, rc, "%s", what);
		return err_set(err, rc, "%s: not done after %d ms, killed%s%s", what, cmd->deadline_ms, *text ? ": " : "", text);
	}
	rc = conclude(&child, what, ret_status, err);
	if (ret_output && (rc == 0 || rc == -EREMOTEIO))
		*ret_output = strbuf_steal(&child.output);
	return rc;
}

int run_cmdl(struct err *err, int deadline_ms, const char *prog, ...)
{
	const char *argv[ARGS_MAX + 1] = { prog };
	struct run_cmd cmd = { .argv = argv, .deadline_ms = deadline_ms };
	size_t n = 1;
	va_list ap;

	va_start(ap, prog);
	while (n < ARGS_MAX && (argv[n] = va_arg(ap, const char *)))
		n++;
	if (n == ARGS_MAX && va_arg(ap, const char *))
		n++;
	va_end(ap);
	if (n > ARGS_MAX)
		return err_set(err, -E2BIG, "%s: more than %d arguments", prog, ARGS_MAX);
	return run_cmd(&cmd, NULL, NULL, err);
}
