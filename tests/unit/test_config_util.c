// SPDX-License-Identifier: GPL-2.0-or-later
/* Documents for the tests of the cluster document: see test_config.h. */
#include "tests/unit/test_config.h"

#include <errno.h>

unsigned int random_calls;

void test_random(void *p, size_t size)
{
	uint8_t *bytes = p;

	random_calls++;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(random_calls * 37 + i * (random_calls + 1));
}

char *load(const char *path)
{
	char *text = NULL;
	size_t size;

	if (file_read(path, CONFIG_SIZE_MAX, &text, &size) < 0)
		fail_msg("cannot read %s; tests run from the top of the tree", path);
	return text;
}

char *change(char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	size_t before = at ? (size_t)(at - text) : 0;
	char *changed;

	if (!at || strstr(at + 1, from))
		fail_msg("\"%s\" is not there exactly once", from);
	changed = xasprintf("%.*s%s%s", (int)before, text, to, text + before + strlen(from));
	free(text);
	return changed;
}

struct config *parse(const char *text, const struct config *old)
{
	struct config *config = NULL;
	struct err err = ERR_INIT;

	if (config_parse(text, strlen(text), old, test_random, &config, &err) < 0)
		fail_msg("refused: %s", err.text);
	return config;
}

struct config *parse_file(const char *path)
{
	_cleanup_free_ char *text = load(path);

	random_calls = 0;
	return parse(text, NULL);
}

void assert_refused(const char *text, const struct config *old, const char *expected)
{
	struct config *config = (struct config *)1;
	struct err err = ERR_INIT;
	int rc = config_parse(text, strlen(text), old, test_random, &config, &err);

	if (rc == 0)
		config_free(config);
	assert_int_equal(rc, -EINVAL);
	assert_int_equal(err.code, rc);
	assert_string_equal(err.text, expected);
	assert_ptr_equal(config, (struct config *)1);
}
