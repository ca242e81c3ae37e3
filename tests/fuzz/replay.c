// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a fuzz target over stored inputs with any compiler: "test_fuzz_<target>" reads tests/fuzz/corpus/<target>, or the files
 * it is given. A broken promise aborts; the name printed last is the input at fault.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "tests/fuzz/fuzz.h"

static char **files;
static int n_files;

static void run_file(const char *path)
{
	_cleanup_free_ char *data = NULL;
	_cleanup_free_ uint8_t *exact = NULL;
	size_t size;

	fprintf(stderr, "# %s\n", path);
	assert_int_equal(file_read(path, 32u << 20, &data, &size), 0);
	exact = xmemdup(data, size); /* without the NUL of file_read(), so that a sanitiser sees a read too far */
	assert_int_equal(LLVMFuzzerTestOneInput(exact, size), 0);
}

static void run_corpus(void)
{
	const char *target = strstr(program_invocation_short_name, "fuzz_") ?: "fuzz_?";
	_cleanup_free_ char *folder = xasprintf("tests/fuzz/corpus/%s", target + strlen("fuzz_"));
	_cleanup_closedir_ DIR *dir = opendir(folder);
	struct dirent *entry;
	size_t n = 0;

	if (!dir)
		fail_msg("cannot open %s; tests run from the top of the tree", folder);
	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		run_file(path);
		n++;
	}
	assert_true(n > 0);
}

static void stored_inputs_keep_the_promises(void **unused)
{
	(void)unused;
	for (int i = 0; i < n_files; i++)
		run_file(files[i]);
	if (n_files == 0)
		run_corpus();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_inputs_keep_the_promises),
	};

	files = argv + 1;
	n_files = argc - 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
