// SPDX-License-Identifier: GPL-2.0-or-later
/* The device is a file: what is written to it can be read; the driver's answers come from here. */
#include <errno.h>
#include <linux/watchdog.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "ha/watchdog/watchdog.h"

static struct {
	uint32_t options;
	int max_s, timeout_s, n_pets;
	bool pet_fails;
} driver;

static char path[] = "/tmp/test_watchdog.XXXXXX";

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	switch (request) {
	case WDIOC_GETSUPPORT:
		((struct watchdog_info *)arg)->options = driver.options;
		strcpy((char *)((struct watchdog_info *)arg)->identity, "a fake");
		return 0;
	case WDIOC_SETTIMEOUT:
		driver.timeout_s = *(int *)arg > driver.max_s ? driver.max_s : *(int *)arg;
		return 0;
	case WDIOC_GETTIMEOUT:
		*(int *)arg = driver.timeout_s;
		return 0;
	case WDIOC_KEEPALIVE:
		driver.n_pets += !driver.pet_fails;
		errno = EIO;
		return driver.pet_fails ? -1 : 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/test_watchdog.XXXXXX");
	fd = mkstemp(path);
	memset(&driver, 0, sizeof(driver));
	driver.options = WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING | WDIOF_SETTIMEOUT;
	driver.max_s = 60;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static void assert_written(const char *expected)
{
	char *text;

	assert_int_equal(file_read(path, 100, &text, NULL), 0);
	assert_string_equal(text, expected);
	free(text);
}

static void opened_petted_and_left_ticking(void **state)
{
	struct watchdog *watchdog;
	struct err err = ERR_INIT;
	int pets;

	(void)state;
	assert_int_equal(watchdog_open(path, 10, true, &watchdog, &err), 0);
	assert_int_equal(driver.timeout_s, 10);
	pets = driver.n_pets;
	assert_int_equal(watchdog_pet(watchdog), 0);
	assert_int_equal(driver.n_pets, pets + 1);
	watchdog_close(watchdog, false);
	assert_written("");
	watchdog_close(NULL, true);
}

static void disarmed_by_the_magic_close(void **state)
{
	struct watchdog *watchdog;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(watchdog_open(path, 10, false, &watchdog, &err), 0);
	watchdog_close(watchdog, true);
	assert_written("V");
}

static void unfit_drivers_are_refused(void **state)
{
	static const uint32_t lacking[] = { WDIOF_MAGICCLOSE, WDIOF_KEEPALIVEPING, WDIOF_SETTIMEOUT };
	struct watchdog *watchdog;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct err err = ERR_INIT;

		driver.options = (WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING | WDIOF_SETTIMEOUT) & ~lacking[i];
		assert_int_equal(watchdog_open(path, 10, false, &watchdog, &err), -ENOTSUP);
		assert_non_null(strstr(err.text, "a fake"));
		assert_written("");
	}
}

/* What ticks for what is served must not be stopped by a wrong setting. */
static void another_timeout_is_refused(void **state)
{
	struct watchdog *watchdog;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(watchdog_open(path, 90, false, &watchdog, &err), -ERANGE);
	assert_non_null(strstr(err.text, "60 s"));
	assert_written("");
	assert_int_equal(watchdog_open(path, 90, true, &watchdog, &err), -ERANGE);
	assert_written("V");
}

static void failures_are_told(void **state)
{
	struct watchdog *watchdog;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(watchdog_open("/nonexistent/watchdog", 10, true, &watchdog, &err), -ENOENT);
	driver.pet_fails = true;
	assert_int_equal(watchdog_open(path, 10, false, &watchdog, &err), -EIO);
	driver.pet_fails = false;
	assert_int_equal(watchdog_open(path, 10, false, &watchdog, &err), 0);
	driver.pet_fails = true;
	assert_int_equal(watchdog_pet(watchdog), -EIO);
	watchdog_close(watchdog, false);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(opened_petted_and_left_ticking), T(disarmed_by_the_magic_close), T(unfit_drivers_are_refused),
		T(another_timeout_is_refused),	   T(failures_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
