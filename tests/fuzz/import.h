/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as another tool's configuration. Nothing crashes; what is refused has a text; what is taken is a document that config_parse()
 * takes as it is, that nothing more happens to when it is added to, and that can be exported and read again.
 */
#ifndef TESTS_FUZZ_IMPORT_H
#define TESTS_FUZZ_IMPORT_H

#include <stdlib.h>
#include <string.h>

#include "target-config/exchange/exchange.h"
#include "tests/fuzz/fuzz.h"

static uint64_t n_random;

static inline void fuzz_random(void *p, size_t size)
{
	memset(p, 0, size);
	n_random++;
	memcpy(p, &n_random, sizeof(n_random));
}

static inline int fuzz_size_of(const char *device, uint64_t *ret_bytes)
{
	*ret_bytes = strlen(device) % 7 ? UINT64_C(1) << 30 : 0;
	return 0;
}

static inline void require_printable(const char *text)
{
	require(*text != '\0');
	for (; *text; text++)
		require(*text >= 0x20 && *text < 0x7f);
}

/* NULL if it is refused. */
static inline char *import(const char *text, size_t size, const char *document)
{
	static const struct import_portal portals[] = { { "10.77.0.1/24", "san0" }, { "fd00:77::1", NULL } };
	const struct import_options options = {
		.document = document, .document_size = document ? strlen(document) : 0, .node = "n1", .portals = portals,
		.n_portals = 2, .size_of = fuzz_size_of, .random_bytes = fuzz_random,
	};
	struct exchange_notes notes = { 0 };
	struct err err = ERR_INIT;
	char *made = NULL;
	int rc = exchange_import(text, size, &options, &made, &notes, &err);

	require((rc == 0) == (made != NULL) && rc == err.code);
	if (rc < 0)
		require_printable(err.text);
	for (size_t i = 0; i < notes.n; i++) {
		require(notes.list[i].object != NULL);
		require_printable(notes.list[i].text);
	}
	exchange_notes_done(&notes);
	return made;
}

static inline void check_document(const char *document)
{
	struct exchange_notes notes = { 0 };
	struct config *config = NULL;
	uint64_t n_before = n_random;
	char *printed, *exported = NULL, *again;

	require(config_parse(document, strlen(document), NULL, fuzz_random, &config, NULL) == 0);
	printed = config_print(config, true);
	require(strcmp(printed, document) == 0 && n_random == n_before);
	free(printed);
	again = import("{}", 2, document);
	require(again && strcmp(again, document) == 0);
	free(again);
	require(exchange_export_targetcli(config, "n1", &exported, &notes, NULL) == 0);
	again = import(exported, strlen(exported), NULL);
	require(again != NULL);
	free(again);
	free(exported);
	exchange_notes_done(&notes);
	config_free(config);
}

static inline void fuzz_import(const char *text, size_t size)
{
	char *document = import(text, size, NULL);

	if (document)
		check_document(document);
	free(document);
}

#endif
