// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as a cluster document, and, after a line "---", a second one while the first is in force. Nothing crashes; what is
 * refused has a text and leaves nothing behind; what is taken keeps the promises of config.h.
 */
#include <stdlib.h>
#include <string.h>

#include "target-config/model/config.h"
#include "tests/fuzz/fuzz.h"

static uint64_t n_random;

static void fuzz_random(void *p, size_t size)
{
	memset(p, 0, size);
	n_random++;
	memcpy(p, &n_random, sizeof(n_random));
}

/* NULL if the document is refused. */
static struct config *parse(const char *text, size_t size, const struct config *old)
{
	struct config *config = NULL;
	struct err err = ERR_INIT;
	int rc = config_parse(text, size, old, fuzz_random, &config, &err);

	require((rc == 0) == (config != NULL));
	require(rc == 0 || (err.code == rc && err.text[0] != '\0'));
	for (const char *p = err.text; *p; p++)
		require(*p >= 0x20 && *p < 0x7f);
	return config;
}

static void require_equal(const struct config *a, const struct config *b)
{
	char *x = config_print(a, true), *y = config_print(b, true);
	struct strbuf lines = { 0 };

	require(strcmp(x, y) == 0);
	require(config_diff(a, b, &lines) == 0 && lines.len == 0);
	strbuf_done(&lines);
	free(x);
	free(y);
}

/* Printing and parsing again, and applying the same text again, give the same model and need no random bytes. */
static void check_promises(const char *text, size_t size, const struct config *config)
{
	char *printed = config_print(config, true), *hidden = config_print(config, false);
	uint64_t n_before = n_random;
	struct config *again = parse(printed, strlen(printed), NULL), *twice = parse(text, size, config);
	struct strbuf lines = { 0 };

	require(again && twice && n_random == n_before);
	require_equal(config, again);
	require_equal(config, twice);
	require(config_diff(NULL, config, &lines) > 0);
	strbuf_done(&lines);
	config_free(again);
	config_free(twice);
	free(printed);
	free(hidden);
}

/* A refused change of a document that is good by itself, or a line for each difference. */
static void check_change(const struct config *old, const char *text, size_t size)
{
	struct config *config = parse(text, size, old);
	struct strbuf lines = { 0 };
	char *before, *after;

	if (!config)
		return;
	check_promises(text, size, config);
	before = config_print(old, true);
	after = config_print(config, true);
	require((config_diff(old, config, &lines) == 0) == (strcmp(before, after) == 0));
	strbuf_done(&lines);
	free(before);
	free(after);
	config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char separator[] = "\n---\n";
	const char *text = (const char *)data;
	const char *second = size ? memmem(text, size, separator, strlen(separator)) : NULL;
	size_t first_size = second ? (size_t)(second - text) : size;
	struct config *config = parse(text, first_size, NULL);

	if (!config)
		return 0;
	check_promises(text, first_size, config);
	if (second) {
		second += strlen(separator);
		check_change(config, second, size - (size_t)(second - text));
	}
	config_free(config);
	return 0;
}
