// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cases in files, tests/config-cases:
 * good/NN-name.json is taken and printed as good/NN-name.printed; what is printed is read back as the same model;
 * bad/NN-name.json is refused with the text of bad/NN-name.expected, by itself or, if there is bad/NN-name.old.json, because of
 * that document in force. Each bad document is a small deviation from a good one.
 * LUNWARD_ACCEPT=1 writes .printed and .expected anew; look at the difference before committing it.
 */
#include <dirent.h>
#include <errno.h>

#include "tests/unit/test_config.h"

static int is_case(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0 &&
	       !(len > 9 && strcmp(entry->d_name + len - 9, ".old.json") == 0);
}

/* Calls fn with "<folder>/NN-name" for each case; returns how many there were. */
static size_t for_each_case(const char *folder, void (*fn)(const char *stem))
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_case, alphasort);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *stem = xasprintf("%s/%.*s", folder, (int)strlen(entries[i]->d_name) - 5, entries[i]->d_name);

		fn(stem);
		free(entries[i]);
	}
	free(entries);
	return (size_t)n;
}

static void compare_with_file(const char *stem, const char *suffix, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s%s", stem, suffix);
	_cleanup_free_ char *expected = NULL;
	size_t size;

	if (getenv("LUNWARD_ACCEPT"))
		assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
	if (file_read(path, CONFIG_SIZE_MAX, &expected, &size) < 0)
		fail_msg("there is no %s; got: %s", path, text);
	if (strcmp(text, expected) != 0)
		fail_msg("%s\nexpected: %sgot:      %s", path, expected, text);
}

static void check_good(const char *stem)
{
	_cleanup_free_ char *path = xasprintf("%s.json", stem);
	_cleanup_config_ struct config *config = parse_file(path);
	_cleanup_free_ char *printed = config_print(config, true), *again = NULL;
	_cleanup_config_ struct config *read_back = NULL;
	struct strbuf lines = { 0 };
	struct err err = ERR_INIT;

	compare_with_file(stem, ".printed", printed);
	/* Nothing is assigned to a printed document: no random bytes, no document in force. */
	if (config_parse(printed, strlen(printed), NULL, NULL, &read_back, &err) < 0)
		fail_msg("%s, printed: %s", stem, err.text);
	again = config_print(read_back, true);
	assert_string_equal(again, printed);
	assert_int_equal(config_diff(config, read_back, &lines), 0);
	assert_int_equal(lines.len, 0);
	strbuf_done(&lines);
}

static void check_bad(const char *stem)
{
	_cleanup_free_ char *path = xasprintf("%s.json", stem), *old_path = xasprintf("%s.old.json", stem);
	_cleanup_free_ char *text = load(path), *line = NULL;
	_cleanup_config_ struct config *old = access(old_path, F_OK) == 0 ? parse_file(old_path) : NULL;
	_cleanup_config_ struct config *config = NULL;
	struct err err = ERR_INIT;
	int rc;

	random_calls = 0;
	if (old) /* good but for the document in force */
		config_free(parse(text, NULL));
	rc = config_parse(text, strlen(text), old, test_random, &config, &err);
	if (rc == 0)
		fail_msg("%s was taken", path);
	assert_true(rc == -EINVAL || rc == -E2BIG);
	line = xasprintf("%s\n", err.text);
	compare_with_file(stem, ".expected", line);
}

static void good_documents_are_taken_and_read_back(void **unused)
{
	(void)unused;
	assert_true(for_each_case(CASES "/good", check_good) >= 4);
}

static void bad_documents_are_refused_with_their_text(void **unused)
{
	(void)unused;
	assert_true(for_each_case(CASES "/bad", check_bad) >= 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_documents_are_taken_and_read_back),
		cmocka_unit_test(bad_documents_are_refused_with_their_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
