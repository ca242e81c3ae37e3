// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/cli/flow: reads that come back, that fail, and that do not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/flow.h"
#include "base/clock.h"

static char dir[32], good[64], empty[64], hung[64];

static int set_up(void **state)
{
	int fd;

	(void)state;
	/* Not /tmp, which may be a tmpfs: those of older kernels know no O_DIRECT. */
	snprintf(dir, sizeof(dir), "/var/tmp/flow-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(good, sizeof(good), "%s/good", dir);
	snprintf(empty, sizeof(empty), "%s/empty", dir);
	snprintf(hung, sizeof(hung), "%s/hung", dir);
	fd = open(good, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 65536) < 0 || close(fd) < 0)
		return -1;
	fd = open(empty, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	/* Opening a FIFO for reading waits for a writer: there is none. */
	return fd < 0 || close(fd) < 0 || mkfifo(hung, 0600) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	int fd = open(hung, O_WRONLY | O_NONBLOCK | O_CLOEXEC); /* lets the child that waits there go */

	(void)state;
	if (fd >= 0)
		close(fd);
	return unlink(good) || unlink(empty) || unlink(hung) || rmdir(dir);
}

static int check(const char *a, const char *b, struct err *err)
{
	const char *paths[] = { a, b };

	return flow_check(paths, b ? 2 : 1, clock_now_ms() + 500, err);
}

static void test_reads_that_come_back(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(check(good, good, &err), 0);
	assert_int_equal(flow_check(NULL, 0, clock_now_ms(), &err), 0);
}

static void test_reads_that_fail(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(check(good, "/var/tmp/no/such/device", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/var/tmp/no/such/device: a read failed"));
	assert_int_equal(check(empty, NULL, &err), -EIO);
}

static void test_a_read_that_hangs(void **state)
{
	struct err err = ERR_INIT;
	int64_t begin_ms = clock_now_ms();

	(void)state;
	assert_int_equal(check(good, hung, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "hung: a read does not come back"));
	assert_true(clock_now_ms() - begin_ms >= 450);
	assert_true(clock_now_ms() - begin_ms < 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_that_come_back),
		cmocka_unit_test(test_reads_that_fail),
		cmocka_unit_test(test_a_read_that_hangs),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
