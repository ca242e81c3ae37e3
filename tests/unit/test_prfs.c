// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file system on <dbroot>/pr with the kernel's real FUSE, in a mount namespace of the test's own. A program that writes stands for
 * LIO: it opens with O_CREAT and O_TRUNC and writes once, as __core_scsi3_write_aptpl_to_file() does. Needs root and /dev/fuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "target-config/prfs/prfs.h"

#define WAIT_MS 10000
#define LIMIT_MS 60000
#define SHORT_MS 200

struct seen {
	uint64_t ticket;
	char serial[64];
	size_t size;
	char first[16];
	bool late;
};

static char folder[] = "/tmp/lunward-prfs.XXXXXX";
static char dir[64], keep[64];
static bool can_mount;
static int questions[2]; /* a pipe: what the handlers saw */

/* --- server ------------------------------------------------------------------------------------------------------------------*/

static void tell(uint64_t ticket, const char *serial, const void *data, size_t size, bool late)
{
	struct seen seen = { .ticket = ticket, .size = size, .late = late };

	snprintf(seen.serial, sizeof(seen.serial), "%s", serial);
	snprintf(seen.first, sizeof(seen.first), "%.*s", (int)MIN(size, sizeof(seen.first) - 1), size ? (const char *)data : "");
	assert_int_equal(write(questions[1], &seen, sizeof(seen)), sizeof(seen));
}

static void on_question(void *ctx, uint64_t ticket, const char *serial, const void *data, size_t size)
{
	(void)ctx;
	tell(ticket, serial, data, size, false);
}

static void on_late(void *ctx, uint64_t ticket, const char *serial)
{
	(void)ctx;
	tell(ticket, serial, NULL, 0, true);
}

static const struct prfs_handlers handlers = { on_question, on_late };

static struct prfs *start(int fd, int64_t limit_ms)
{
	struct prfs *prfs = NULL;
	struct err err = ERR_INIT;

	if (prfs_start(fd, keep, limit_ms, &handlers, NULL, &prfs, &err) < 0)
		fail_msg("%s", err.text);
	return prfs;
}

static int mount_it(void)
{
	struct err err = ERR_INIT;
	int fd = -1;

	if (prfs_mount(dir, &fd, &err) < 0)
		fail_msg("%s", err.text);
	return fd;
}

static struct seen next_question(void)
{
	struct pollfd in = { .fd = questions[0], .events = POLLIN };
	struct seen seen = { 0 };

	if (poll(&in, 1, WAIT_MS) != 1)
		fail_msg("no question came");
	assert_int_equal(read(questions[0], &seen, sizeof(seen)), sizeof(seen));
	return seen;
}

static bool is_quiet(void)
{
	struct pollfd in = { .fd = questions[0], .events = POLLIN };

	return poll(&in, 1, 0) == 0;
}

/* --- who writes ----------------------------------------------------------------------------------------------------------------*/

struct writer {
	pid_t pid;
	int result_fd;
};

/* 0 or the error of whatever step failed. A process, so that a writer whose answer never comes can be killed. */
static int write_file(const char *name, const char *text, size_t size)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	char *page = mmap(NULL, PRFS_WRITE_MAX * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	if (fd < 0)
		return errno;
	memset(page, 'x', PRFS_WRITE_MAX * 2);
	memcpy(page, text, MIN(size, strlen(text) + 1));
	n = write(fd, page, size);
	return n < 0 ? errno : n == (ssize_t)size ? 0 : EMSGSIZE;
}

static struct writer start_writer(const char *name, const char *text, size_t size)
{
	struct writer writer;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	writer.pid = fork();
	if (writer.pid == 0) {
		int result;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Without its own copy of the mount's descriptor: the kernel lets a writer go when the last one is closed. */
		close_range(3, (unsigned int)fds[1] - 1, 0);
		close_range((unsigned int)fds[1] + 1, ~0u, 0);
		result = write_file(name, text, size);
		_exit(write(fds[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1);
	}
	close(fds[1]);
	writer.result_fd = fds[0];
	return writer;
}

static bool is_waiting(const struct writer *writer)
{
	struct pollfd in = { .fd = writer->result_fd, .events = POLLIN };

	return poll(&in, 1, 0) == 0;
}

static int result_of(struct writer *writer)
{
	struct pollfd in = { .fd = writer->result_fd, .events = POLLIN };
	int result = -1;

	if (poll(&in, 1, WAIT_MS) != 1 || read(writer->result_fd, &result, sizeof(result)) != sizeof(result)) {
		kill(writer->pid, SIGKILL);
		fail_msg("the writer got no answer");
	}
	waitpid(writer->pid, NULL, 0);
	close(writer->result_fd);
	return result;
}

/* --- stories -------------------------------------------------------------------------------------------------------------------*/

#define NEEDS_MOUNT()                                                                                                  \
	do {                                                                                                           \
		if (!can_mount) {                                                                                      \
			print_message("skipped: needs root, a mount namespace and /dev/fuse\n");                       \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

static int take_down(void **unused)
{
	(void)unused;
	while (umount2(dir, MNT_DETACH) == 0)
		;
	unlink(keep);
	while (!is_quiet())
		next_question();
	return 0;
}

static void a_write_waits_for_its_answer(void **unused)
{
	struct prfs *prfs;
	struct writer writer;
	struct seen seen;

	(void)unused;
	NEEDS_MOUNT();
	prfs = start(mount_it(), LIMIT_MS);
	writer = start_writer("aptpl_s1", "PR_REG_START", 13);
	seen = next_question();
	assert_string_equal(seen.serial, "s1");
	assert_string_equal(seen.first, "PR_REG_START");
	assert_int_equal(seen.size, 13);
	assert_true(is_waiting(&writer));
	assert_int_equal(prfs_answer(prfs, seen.ticket, 0), 0);
	assert_int_equal(result_of(&writer), 0);
	assert_int_equal(prfs_answer(prfs, seen.ticket, 0), -ESTALE);

	writer = start_writer("aptpl_s1", "again", 6);
	seen = next_question();
	assert_int_equal(prfs_answer(prfs, seen.ticket, -EROFS), 0);
	assert_int_equal(result_of(&writer), EROFS);
	assert_true(is_quiet());
	prfs_stop(prfs);
}

static void several_wait_and_are_answered_in_any_order(void **unused)
{
	enum { N = PRFS_PENDING_MAX + 4 };
	struct writer writers[N];
	struct seen seen[N];
	struct prfs *prfs;

	(void)unused;
	NEEDS_MOUNT();
	prfs = start(mount_it(), LIMIT_MS);
	for (int i = 0; i < N; i++) {
		char name[32];

		snprintf(name, sizeof(name), "aptpl_v%d", i);
		writers[i] = start_writer(name, name, strlen(name) + 1);
	}
	for (int i = 0; i < PRFS_PENDING_MAX; i++)
		seen[i] = next_question();
	for (int i = PRFS_PENDING_MAX; i < N; i++) { /* the others wait in the kernel for a place */
		assert_int_equal(prfs_answer(prfs, seen[i - 1].ticket, 0), 0);
		seen[i] = next_question();
	}
	for (int i = 0; i < PRFS_PENDING_MAX - 1; i++)
		assert_int_equal(prfs_answer(prfs, seen[i].ticket, atoi(seen[i].serial + 1) % 2 ? -EIO : 0), 0);
	assert_int_equal(prfs_answer(prfs, seen[N - 1].ticket, 0), 0);
	for (int i = 0; i < N; i++) {
		int result = result_of(&writers[i]), expected = -1;

		for (int j = 0; j < N; j++) {
			if (atoi(seen[j].serial + 1) == i)
				expected = j < PRFS_PENDING_MAX - 1 && i % 2 ? EIO : 0;
		}
		assert_int_equal(result, expected);
	}
	prfs_stop(prfs);
}

static void what_is_late_is_cut_first_and_then_fails(void **unused)
{
	struct prfs *prfs;
	struct writer writer;
	struct seen asked, late;
	int64_t begun_ms;

	(void)unused;
	NEEDS_MOUNT();
	prfs = start(mount_it(), SHORT_MS);
	begun_ms = clock_now_ms();
	writer = start_writer("aptpl_s1", "slow", 5);
	asked = next_question();
	late = next_question();
	assert_true(late.late && late.ticket == asked.ticket);
	assert_string_equal(late.serial, "s1");
	assert_true(clock_now_ms() - begun_ms >= SHORT_MS);
	assert_int_equal(result_of(&writer), EIO);
	assert_int_equal(prfs_answer(prfs, asked.ticket, 0), -ESTALE);
	prfs_stop(prfs);
}

static void what_is_prolonged_is_late_later(void **unused)
{
	struct prfs *prfs;
	struct writer writer;
	struct seen asked, late;
	int64_t begun_ms;

	(void)unused;
	NEEDS_MOUNT();
	prfs = start(mount_it(), SHORT_MS);
	writer = start_writer("aptpl_s1", "slow", 5);
	asked = next_question();
	begun_ms = clock_now_ms();
	assert_int_equal(prfs_prolong(prfs, asked.ticket + 1, 1), -ESTALE);
	assert_int_equal(prfs_prolong(prfs, asked.ticket, 3 * SHORT_MS), 0);
	late = next_question();
	assert_true(late.late && late.ticket == asked.ticket);
	assert_true(clock_now_ms() - begun_ms >= 3 * SHORT_MS);
	assert_int_equal(result_of(&writer), EIO);
	assert_int_equal(prfs_prolong(prfs, asked.ticket, 1), -ESTALE);
	prfs_stop(prfs);
}

/* The descriptor outlives the server, as it does in systemd's store; so do the questions it had read. */
static void a_successor_answers_what_was_left(void **unused)
{
	int fd, status;
	struct writer before, behind, after;
	struct prfs *prfs;
	struct seen seen;
	pid_t server;

	(void)unused;
	NEEDS_MOUNT();
	fd = mount_it();
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start(dup(fd), LIMIT_MS);
		for (;;)
			pause();
	}
	before = start_writer("aptpl_old", "before", 7);
	seen = next_question();
	assert_string_equal(seen.first, "before");
	kill(server, SIGKILL);
	waitpid(server, &status, 0);
	behind = start_writer("aptpl_old", "behind", 7); /* nobody serves: waits in the kernel */

	prfs = start(dup(fd), LIMIT_MS);
	for (int i = 0; i < 2; i++) {
		seen = next_question();
		assert_string_equal(seen.serial, "old"); /* nodes keep their names */
		assert_int_equal(prfs_answer(prfs, seen.ticket, strcmp(seen.first, "before") == 0 ? 0 : -EIO), 0);
	}
	assert_int_equal(result_of(&before), 0);
	assert_int_equal(result_of(&behind), EIO);
	after = start_writer("aptpl_new", "after", 6);
	seen = next_question();
	assert_string_equal(seen.serial, "new");
	assert_int_equal(prfs_answer(prfs, seen.ticket, 0), 0);
	assert_int_equal(result_of(&after), 0);
	assert_true(is_quiet());
	prfs_stop(prfs);
	close(fd);
}

static void without_the_mount_no_file_can_be_made(void **unused)
{
	struct writer writer;
	struct prfs *prfs;

	(void)unused;
	NEEDS_MOUNT();
	prfs = start(mount_it(), LIMIT_MS);
	prfs_stop(prfs); /* the last descriptor: the kernel aborts the connection */
	writer = start_writer("aptpl_s1", "x", 2);
	assert_int_equal(result_of(&writer), ENOTCONN);
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
	writer = start_writer("aptpl_s1", "x", 2);
	assert_int_equal(result_of(&writer), EROFS);
}

static void a_dead_mount_is_replaced_and_a_living_one_is_not(void **unused)
{
	struct err err = ERR_INIT;
	struct writer writer;
	struct prfs *prfs;
	int fd, other = -1;
	struct seen seen;

	(void)unused;
	NEEDS_MOUNT();
	fd = mount_it(); /* nobody serves it yet: asking it anything would wait for ever */
	assert_int_equal(prfs_mount(dir, &other, &err), -EALREADY);
	close(fd);
	prfs = start(mount_it(), LIMIT_MS);
	assert_int_equal(prfs_mount(dir, &other, &err), -EALREADY);
	writer = start_writer("aptpl_s1", "x", 2);
	seen = next_question();
	assert_int_equal(prfs_answer(prfs, seen.ticket, 0), 0);
	assert_int_equal(result_of(&writer), 0);
	prfs_stop(prfs);
}

static void only_whole_writes_of_lio_look_like_one(void **unused)
{
	struct prfs *prfs;
	struct writer writer;
	struct seen seen;
	size_t got = 0;

	(void)unused;
	NEEDS_MOUNT();
	prfs = start(mount_it(), LIMIT_MS);
	writer = start_writer("other", "x", 2);
	assert_int_equal(result_of(&writer), EPERM);
	writer = start_writer("aptpl_", "x", 2);
	assert_int_equal(result_of(&writer), EPERM);

	writer = start_writer("aptpl_s1", "large", PRFS_WRITE_MAX); /* the largest that comes at once */
	seen = next_question();
	assert_int_equal(seen.size, PRFS_WRITE_MAX);
	assert_int_equal(prfs_answer(prfs, seen.ticket, 0), 0);
	assert_int_equal(result_of(&writer), 0);

	writer = start_writer("aptpl_s1", "larger", PRFS_WRITE_MAX + 4096);
	for (int i = 0; i < 2; i++) {
		seen = next_question();
		got += seen.size;
		assert_true(i == 0 || seen.size == 0); /* a later piece has nothing to say */
		assert_int_equal(prfs_answer(prfs, seen.ticket, 0), 0);
	}
	assert_int_equal(got, PRFS_WRITE_MAX);
	assert_int_equal(result_of(&writer), 0);
	prfs_stop(prfs);
}

static int n_processors(pid_t pid)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(pid, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

/* As LIO's is, to one processor. */
static struct writer start_bound_writer(const char *thread_name)
{
	cpu_set_t before;
	struct writer writer;
	char own_name[16];

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	prctl(PR_GET_NAME, own_name);
	prctl(PR_SET_NAME, thread_name);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &(cpu_set_t){ .__bits = { 1 } }), 0);
	writer = start_writer("aptpl_s1", "x", 2);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	prctl(PR_SET_NAME, own_name);
	return writer;
}

static void a_connection_is_not_bound_while_it_waits(void **unused)
{
	static const struct {
		const char *name;
		bool is_let_run;
	} cases[] = { { "iscsi_trx", true }, { "iscsi_trx2", false }, { "ls", false } };
	int n = n_processors(0);
	struct prfs *prfs;

	(void)unused;
	NEEDS_MOUNT();
	prfs = start(mount_it(), LIMIT_MS);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct writer writer = start_bound_writer(cases[i].name);
		struct seen seen = next_question();

		assert_int_equal(n_processors(writer.pid), cases[i].is_let_run ? n : 1);
		assert_int_equal(prfs_answer(prfs, seen.ticket, 0), 0);
		assert_int_equal(result_of(&writer), 0);
	}
	prfs_stop(prfs);
}

static int set_up(void **unused)
{
	(void)unused;
	assert_non_null(mkdtemp(folder));
	snprintf(dir, sizeof(dir), "%s/pr", folder);
	snprintf(keep, sizeof(keep), "%s/keep", folder);
	can_mount = access("/dev/fuse", R_OK | W_OK) == 0 && unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	return pipe2(questions, O_CLOEXEC);
}

static int clean_up(void **unused)
{
	take_down(unused);
	rmdir(dir);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_write_waits_for_its_answer, take_down),
		cmocka_unit_test_teardown(several_wait_and_are_answered_in_any_order, take_down),
		cmocka_unit_test_teardown(what_is_late_is_cut_first_and_then_fails, take_down),
		cmocka_unit_test_teardown(what_is_prolonged_is_late_later, take_down),
		cmocka_unit_test_teardown(a_successor_answers_what_was_left, take_down),
		cmocka_unit_test_teardown(without_the_mount_no_file_can_be_made, take_down),
		cmocka_unit_test_teardown(a_dead_mount_is_replaced_and_a_living_one_is_not, take_down),
		cmocka_unit_test_teardown(only_whole_writes_of_lio_look_like_one, take_down),
		cmocka_unit_test_teardown(a_connection_is_not_bound_while_it_waits, take_down),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
