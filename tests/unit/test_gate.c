// SPDX-License-Identifier: GPL-2.0-or-later
/* Gates made and closed at a time. What device-mapper does with them is tested on the real one: tests/lab/guest/test_gate.c. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "target-config/gate/dm.h"
#include "target-config/gate/gate.h"

/* --- a device-mapper with one device, whose first look can be held up ---*/

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct dm_info info;
	bool hold;      /* the next dm_inspect() waits, as a slow machine's does */
	unsigned int n_looks;
} w = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int dm_inspect(const char *name, struct dm_info *ret_info)
{
	bool held;

	assert_string_equal(name, "lunward-v1");
	pthread_mutex_lock(&w.lock);
	w.n_looks++;
	held = w.hold && w.n_looks == 1;
	*ret_info = w.info;
	pthread_cond_broadcast(&w.changed);
	while (held && w.hold)
		pthread_cond_wait(&w.changed, &w.lock);
	pthread_mutex_unlock(&w.lock);
	return 0;
}

int dm_create(const char *name, const char *uuid)
{
	(void)name;
	w.info = (struct dm_info){ .exists = true };
	snprintf(w.info.uuid, sizeof(w.info.uuid), "%s", uuid);
	return 0;
}

int dm_load(const char *name, const struct dm_target_line *lines, size_t n)
{
	(void)name;
	assert_in_range(n, 1, DM_LINES_MAX);
	memcpy(w.info.lines, lines, n * sizeof(*lines));
	w.info.n_lines = n;
	return 0;
}

int dm_resume(const char *name)
{
	(void)name;
	w.info.has_live_table = true;
	return 0;
}

int dm_number(const char *path, char ret_number[32])
{
	(void)path;
	snprintf(ret_number, 32, "7:0");
	return 0;
}

int dm_make_node(const char *name, const struct dm_info *info)
{
	(void)name;
	return info->exists ? 0 : -1;
}

/* Not reached: nothing is open, prepared or removed here. */
int dm_clear(const char *name) { fail_msg("clear %s", name); return 0; }
int dm_suspend(const char *name) { fail_msg("suspend %s", name); return 0; }
int dm_remove(const char *name) { fail_msg("remove %s", name); return 0; }
int dm_flush(const char *params) { fail_msg("flush %s", params); return 0; }
int dm_path(const char *params, char ret_path[64]) { fail_msg("path %s %s", params, ret_path); return 0; }
int dm_list(void (*fn)(void *ctx, const char *name), void *ctx) { fail_msg("list %p %p", (void *)fn, ctx); return 0; }

/* --- */

static void *close_it(void *unused)
{
	struct err err = ERR_INIT;

	(void)unused;
	return gate_close("v1", 2048, "/dev/loop0", &err) == 0 ? NULL : &w;
}

static void *let_go_soon(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&w.lock);
	while (w.n_looks < 2) /* of who makes the gate, while the other still has not ended */
		pthread_cond_wait(&w.changed, &w.lock);
	w.hold = false;
	pthread_cond_broadcast(&w.changed);
	pthread_mutex_unlock(&w.lock);
	return NULL;
}

/* A restarted node releases what it does not have any more, and builds its target: both at once. */
static void is_made_while_somebody_finds_nothing_to_close(void **state)
{
	pthread_t closer, letter;
	struct err err = ERR_INIT;
	void *failed = NULL;

	(void)state;
	w.hold = true;
	assert_int_equal(pthread_create(&closer, NULL, close_it, NULL), 0);
	pthread_mutex_lock(&w.lock);
	while (w.n_looks < 1)
		pthread_cond_wait(&w.changed, &w.lock);
	pthread_mutex_unlock(&w.lock);
	assert_int_equal(pthread_create(&letter, NULL, let_go_soon, NULL), 0);
	alarm(30); /* nobody has looked a second time: then nobody lets go either */
	assert_int_equal(gate_ensure("v1", 2048, "/dev/loop0", &err), 0);
	assert_true(w.info.exists && w.info.has_live_table);
	pthread_join(letter, NULL);
	pthread_join(closer, &failed);
	alarm(0);
	assert_null(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_made_while_somebody_finds_nothing_to_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
