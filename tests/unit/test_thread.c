// SPDX-License-Identifier: GPL-2.0-or-later
/* Where threads hang in the kernel, as the files of proc(5) tell it. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/thread.h"
#include "base/xalloc.h"

static char *tasks;

static int make_tasks(void **state)
{
	(void)state;
	tasks = xstrdup("/tmp/test_thread.XXXXXX");
	return mkdtemp(tasks) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
	(void)stat;
	(void)type;
	(void)at;
	return remove(path);
}

static int remove_tasks(void **state)
{
	int rc = nftw(tasks, remove_one, 4, FTW_DEPTH | FTW_PHYS);

	(void)state;
	free(tasks);
	return rc;
}

static void put(const char *tid, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", tasks, tid);

	mkdir(path, 0700);
	free(path);
	path = xasprintf("%s/%s/%s", tasks, tid, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
	free(path);
}

static void add_thread(const char *tid, const char *stat, const char *wchan)
{
	put(tid, "stat", stat);
	put(tid, "wchan", wchan);
}

static void those_that_hang_are_named_once(void **state)
{
	char where[64];

	(void)state;
	threads_in_kernel(tasks, where, sizeof(where));
	assert_string_equal(where, "");
	add_thread("10", "10 (lunwardd) S 1 10", "do_epoll_wait");
	add_thread("11", "11 (run D) S) R 1 10", "0");
	threads_in_kernel(tasks, where, sizeof(where));
	assert_string_equal(where, "");
	add_thread("12", "12 (a) b) D 1 10", "iscsit_cause_connection_reinstatement");
	add_thread("13", "13 (c) D 1 10", "iscsit_cause_connection_reinstatement");
	add_thread("14", "14 (d) D 1 10", "0");
	threads_in_kernel(tasks, where, sizeof(where));
	assert_string_equal(where, "iscsit_cause_connection_reinstatement");
	add_thread("15", "15 (e) D 1 10", "io_schedule");
	threads_in_kernel(tasks, where, sizeof(where));
	assert_int_equal(strlen(where), strlen("iscsit_cause_connection_reinstatement, io_schedule"));
	threads_in_kernel(tasks, where, 13); /* as far as it fits */
	assert_string_equal(where, "io_schedule");
	threads_in_kernel("/nowhere", where, sizeof(where));
	assert_string_equal(where, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(those_that_hang_are_named_once, make_tasks, remove_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
