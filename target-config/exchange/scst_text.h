/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The syntax of scst.conf as scstadmin writes it: a statement a line, of words, the last of which may be '{' and opens a block; a line
 * with '}' closes it; '#' begins a comment, "..." holds blanks together. What the words mean is not known here.
 */
#ifndef TARGET_CONFIG_EXCHANGE_SCST_TEXT_H
#define TARGET_CONFIG_EXCHANGE_SCST_TEXT_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/err.h"

#define SCST_WORDS_MAX 16
#define SCST_WORD_SIZE_MAX 1024
#define SCST_DEPTH_MAX 8
#define SCST_STATEMENTS_MAX 1000000

struct scst_statement {
	char *words[SCST_WORDS_MAX]; /* words[0] is always there; NULL after the last */
	size_t n_words;
	size_t line;
	size_t parent; /* index, SIZE_MAX: top */
	size_t end;    /* index after its block; its own + 1 if it has none */
};

struct scst_text {
	struct scst_statement *list; /* in the order of the file: a block follows its head */
	size_t n, cap;
};

/* -EINVAL with the line. *ret is empty after an error. */
int scst_text_parse(const char *text, size_t size, struct scst_text *ret, struct err *err) must_check;
void scst_text_done(struct scst_text *text);

/* "" beyond the last word. */
const char *scst_word(const struct scst_statement *statement, size_t i);

#endif
