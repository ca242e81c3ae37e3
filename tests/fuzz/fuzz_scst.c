// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as SCST's scst.conf, and its syntax alone: see import.h. */
#include "target-config/exchange/scst_text.h"
#include "tests/fuzz/import.h"

/* Blocks nest, and every statement says where its own ends. */
static void check_text(const struct scst_text *text)
{
	for (size_t i = 0; i < text->n; i++) {
		const struct scst_statement *statement = &text->list[i];

		require(statement->n_words >= 1 && statement->n_words <= SCST_WORDS_MAX && statement->line >= 1);
		require(statement->end > i && statement->end <= text->n);
		if (statement->parent != SIZE_MAX)
			require(statement->parent < i && statement->end <= text->list[statement->parent].end);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scst_text text = { 0 };
	struct err err = ERR_INIT;

	if (scst_text_parse((const char *)data, size, &text, &err) == 0)
		check_text(&text);
	else
		require(text.n == 0 && strncmp(err.text, "line ", 5) == 0);
	scst_text_done(&text);
	fuzz_import((const char *)data, size);
	return 0;
}
