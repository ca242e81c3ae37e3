/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For programs that test on a real kernel, in a guest of the lab as root: a line for each check, exit status 1 if one failed. */
#ifndef TESTS_LAB_GUEST_CHECK_H
#define TESTS_LAB_GUEST_CHECK_H

#include <stdbool.h>
#include <stdio.h>

static unsigned int checks_failed;

static inline bool check_that(bool ok, const char *text, const char *detail)
{
	printf("%s - %s%s%s\n", ok ? "ok" : "not ok", text, detail && *detail ? ": " : "", detail ? detail : "");
	fflush(stdout);
	checks_failed += !ok;
	return ok;
}

/* A call that returns 0 or a negative errno and explains itself in err. */
#define CHECK_CALL(call) check_that((call) == 0, #call, err.text)
#define CHECK(condition) check_that((condition), #condition, NULL)

#endif
