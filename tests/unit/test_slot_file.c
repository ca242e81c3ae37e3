// SPDX-License-Identifier: GPL-2.0-or-later
/* A file in two slots: whatever a write leaves behind, the version before is there, and the last one that was said to be is. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/daemon/slot_file.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "ha/wire/bytes.h"

#define LIMIT (1u << 20)

static char dir[] = "/tmp/slot-file.XXXXXX", path[64];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/state", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int forget(void **state)
{
	(void)state;
	return unlink(path) < 0 && errno != ENOENT ? -1 : 0;
}

static struct slot_file *reopen(char **ret_data, size_t *ret_size)
{
	struct slot_file *file = NULL;

	assert_int_equal(slot_file_open(path, LIMIT, &file, ret_data, ret_size), 0);
	return file;
}

static void assert_is(const char *text)
{
	char *data = NULL;
	size_t size = 0;

	slot_file_close(reopen(&data, &size));
	assert_int_equal(size, strlen(text));
	assert_memory_equal(data, text, size);
	free(data);
}

static struct slot_file *with(const char *first, const char *second)
{
	char *data = NULL;
	size_t size = 0;
	struct slot_file *file = reopen(&data, &size);

	assert_null(data);
	assert_int_equal(slot_file_write(file, first, strlen(first)), 0);
	assert_int_equal(slot_file_write(file, second, strlen(second)), 0);
	return file;
}

/* Its magic, number 2, crc32 of the header and the data. */
static void write_earlier_release(const void *data, size_t size)
{
	static const char magic[8] = { 'L', 'W', 'S', 'L', 'O', 'T', '1', '\n' };
	uint8_t *both = xcalloc(2, 64u << 10), *slot = both;
	uint32_t crc;

	memcpy(slot, magic, sizeof(magic));
	slot[8] = 2;
	slot[16] = (uint8_t)size;
	memcpy(slot + 32, data, size);
	crc = bytes_crc32(slot, 32 + size);
	for (int i = 0; i < 4; i++)
		slot[24 + i] = (uint8_t)(crc >> (8 * i));
	assert_int_equal(file_replace(path, both, 2 * (64u << 10), 0600), 0);
	free(both);
}

static ino_t inode(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void last_version_comes_back(void **state)
{
	struct slot_file *file = with("one", "two, which is longer");
	ino_t before = inode();
	char *data = NULL;
	size_t size = 0;

	(void)state;
	assert_is("two, which is longer");
	assert_int_equal(slot_file_write(file, "", 0), 0);
	assert_is("");
	slot_file_close(file);
	file = reopen(&data, &size);
	free(data);
	assert_int_equal(slot_file_write(file, "four", 4), 0);
	assert_is("four");
	assert_int_equal(inode(), before); /* in place */
	slot_file_close(file);
}

/* The image of the file while `next` is written over it: its first n bytes are new. */
static void write_torn(const char *old, const char *now, size_t size, size_t n)
{
	char *image = xmemdup(old, size);

	memcpy(image, now, n);
	assert_int_equal(file_replace(path, image, size, 0600), 0);
	free(image);
}

static void a_write_that_is_broken_off_leaves_the_version_before(void **state)
{
	struct slot_file *file = with("one", "two");
	char *old = NULL, *now = NULL;
	size_t size = 0;
	bool seen_new = false;

	(void)state;
	assert_int_equal(file_read(path, LIMIT, &old, &size), 0);
	assert_int_equal(slot_file_write(file, "three", 5), 0);
	assert_int_equal(file_read(path, LIMIT, &now, &size), 0);
	for (size_t n = 0; n <= size; n += n % (size / 2) < 64 ? 1 : 509) {
		char *data = NULL;
		size_t got = 0;

		write_torn(old, now, size, n);
		slot_file_close(reopen(&data, &got));
		if (got == 5)
			assert_memory_equal(data, "three", 5);
		else
			assert_int_equal(got, 3);
		if (got == 3)
			assert_memory_equal(data, "two", 3);
		assert_true(got == 5 || !seen_new);
		seen_new |= got == 5;
		free(data);
	}
	assert_true(seen_new);
	slot_file_close(file);
	free(old);
	free(now);
}

static void a_failed_write_does_not_touch_the_version_before(void **state)
{
	struct slot_file *file = with("one", "two");
	struct rlimit before, none = { .rlim_cur = 0 };

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none.rlim_max = before.rlim_max;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
		assert_int_equal(slot_file_write(file, "three", 5), -EFBIG);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_is("two");
		assert_int_equal(slot_file_append(file, "!", 1), -EFBIG);
	}
	assert_int_equal(slot_file_write(file, "four", 4), 0);
	assert_is("four");
	slot_file_close(file);
}

static void append(struct slot_file *file, const char *text)
{
	assert_int_equal(slot_file_append(file, text, strlen(text)), 0);
}

static void what_was_appended_comes_back(void **state)
{
	struct slot_file *file = with("one", "two");
	char *data = NULL;
	size_t size = 0;

	(void)state;
	append(file, ", more");
	append(file, "");
	append(file, " and more");
	assert_is("two, more and more");
	slot_file_close(file);
	file = reopen(&data, &size);
	free(data);
	append(file, " later");
	assert_is("two, more and more later");
	assert_int_equal(slot_file_write(file, "three", 5), 0);
	assert_is("three");
	append(file, "!");
	assert_is("three!");
	slot_file_close(file);
}

/* The slot was used before: what was appended to its version of then does not belong to this one. */
static void parts_of_an_earlier_version_are_gone(void **state)
{
	struct slot_file *file = with("one", "two");

	(void)state;
	append(file, " parts");
	append(file, " more");
	assert_int_equal(slot_file_write(file, "three", 5), 0);
	assert_int_equal(slot_file_write(file, "two", 3), 0);
	assert_is("two");
	append(file, " parts");
	assert_is("two parts");
	slot_file_close(file);
}

static void an_append_that_is_broken_off_leaves_what_was_there_before(void **state)
{
	struct slot_file *file = with("one", "two");
	char *old = NULL, *now = NULL;
	size_t size = 0;
	bool seen_new = false;

	(void)state;
	append(file, " parts");
	assert_int_equal(file_read(path, LIMIT, &old, &size), 0);
	append(file, " more");
	assert_int_equal(file_read(path, LIMIT, &now, &size), 0);
	for (size_t n = 0; n <= size; n += n % (size / 2) < 256 ? 1 : 509) {
		char *data = NULL;
		size_t got = 0;

		write_torn(old, now, size, n);
		slot_file_close(reopen(&data, &got));
		assert_true(got == 14 || (got == 9 && !seen_new));
		assert_memory_equal(data, "two parts more", got);
		seen_new |= got == 14;
		free(data);
	}
	assert_true(seen_new);
	slot_file_close(file);
	free(old);
	free(now);
}

static void what_cannot_be_appended_is_said(void **state)
{
	struct slot_file *file = with("one", "two");
	struct rlimit before, none = { .rlim_cur = 0 };
	char *data = NULL, *big = xcalloc(1, 70000);
	size_t size = 0, n = 0;

	(void)state;
	memset(big, 'x', 69999);
	assert_int_equal(slot_file_append(file, big, 69999), -EFBIG);
	while (slot_file_append(file, "0123456789", 10) == 0)
		n++;
	assert_true(n > 1000);
	slot_file_close(file);
	file = reopen(&data, &size); /* full to the brim */
	assert_int_equal(size, 3 + 10 * n);
	free(data);
	assert_int_equal(slot_file_append(file, "0123456789", 10), -EFBIG);
	assert_int_equal(slot_file_write(file, "three", 5), 0);

	/* It failed: it may be there or not, so nothing can come after it. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(slot_file_append(file, "!", 1), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(slot_file_append(file, "!", 1), -EFBIG);
	assert_int_equal(slot_file_write(file, "four", 4), 0);
	append(file, "!");
	assert_is("four!");

	assert_int_equal(unlink(path), 0);
	assert_int_equal(slot_file_append(file, "!", 1), -EFBIG);
	slot_file_close(file);
	file = reopen(&data, &size);
	assert_int_equal(slot_file_append(file, "!", 1), -EFBIG);
	slot_file_close(file);
	free(big);
}

/* An earlier release would not see what is appended: it must not find its own format then. */
static void a_version_of_an_earlier_release_is_not_appended_to(void **state)
{
	struct slot_file *file;
	char *data = NULL;
	size_t size = 0;

	(void)state;
	write_earlier_release("two", 3);
	file = reopen(&data, &size);
	assert_int_equal(size, 3);
	assert_memory_equal(data, "two", 3);
	free(data);
	assert_int_equal(slot_file_append(file, "!", 1), -EFBIG);
	assert_int_equal(slot_file_write(file, "three", 5), 0);
	append(file, "!");
	assert_is("three!");
	slot_file_close(file);
}

static void it_grows(void **state)
{
	struct slot_file *file = with("one", "two");
	char *big = xcalloc(1, 300001), *data = NULL;
	size_t size = 0;

	(void)state;
	memset(big, 'x', 300000);
	assert_int_equal(slot_file_write(file, big, 300000), 0);
	assert_is(big);
	assert_int_equal(slot_file_write(file, "small", 5), 0);
	assert_is("small");
	slot_file_close(file);
	free(big);
	assert_int_equal(slot_file_open(path, 4, &file, &data, &size), -EFBIG);
}

static void a_file_that_was_removed_is_made_again(void **state)
{
	struct slot_file *file = with("one", "two");

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(slot_file_write(file, "three", 5), 0);
	assert_is("three");
	assert_int_equal(file_replace(path, "restored", 8, 0600), 0);
	assert_int_equal(slot_file_write(file, "four", 4), 0);
	assert_is("four");
	slot_file_close(file);
}

static void another_format_is_given_as_it_is(void **state)
{
	char *data = NULL;
	size_t size = 0;
	struct slot_file *file;

	(void)state;
	assert_int_equal(file_replace(path, "of an earlier release", 21, 0600), 0);
	file = reopen(&data, &size);
	assert_int_equal(size, 21);
	assert_memory_equal(data, "of an earlier release", 21);
	free(data);
	assert_int_equal(slot_file_write(file, "new", 3), 0);
	assert_is("new");
	slot_file_close(file);
}

/* A downgrade: this release must neither use it nor write over it. */
static void a_later_release_is_left_alone(void **state)
{
	for (size_t slot = 0; slot < 2; slot++) {
		struct slot_file *file = with("one", "two");
		char *before = NULL, *after = NULL, *data = NULL;
		size_t n_before = 0, n_after = 0, size = 0;

		slot_file_close(file);
		assert_int_equal(file_read(path, 1 << 20, &before, &n_before), 0);
		before[slot * n_before / 2 + 6] = '3'; /* LWSLOT3 */
		assert_int_equal(file_replace(path, before, n_before, 0600), 0);
		assert_int_equal(slot_file_open(path, LIMIT, &file, &data, &size), -EPROTONOSUPPORT);
		assert_int_equal(file_read(path, 1 << 20, &after, &n_after), 0);
		assert_int_equal(n_after, n_before);
		assert_memory_equal(after, before, n_before);
		free(before);
		free(after);
		(void)unlink(path);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(last_version_comes_back, forget),
		cmocka_unit_test_teardown(a_write_that_is_broken_off_leaves_the_version_before, forget),
		cmocka_unit_test_teardown(a_failed_write_does_not_touch_the_version_before, forget),
		cmocka_unit_test_teardown(what_was_appended_comes_back, forget),
		cmocka_unit_test_teardown(parts_of_an_earlier_version_are_gone, forget),
		cmocka_unit_test_teardown(an_append_that_is_broken_off_leaves_what_was_there_before, forget),
		cmocka_unit_test_teardown(what_cannot_be_appended_is_said, forget),
		cmocka_unit_test_teardown(a_version_of_an_earlier_release_is_not_appended_to, forget),
		cmocka_unit_test_teardown(it_grows, forget),
		cmocka_unit_test_teardown(a_file_that_was_removed_is_made_again, forget),
		cmocka_unit_test_teardown(another_format_is_given_as_it_is, forget),
		cmocka_unit_test_teardown(a_later_release_is_left_alone, forget),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
