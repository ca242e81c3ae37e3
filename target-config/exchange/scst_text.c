// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/exchange/scst_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/xalloc.h"

struct parser {
	struct scst_text text;
	size_t open[SCST_DEPTH_MAX]; /* statements whose block is open */
	size_t depth, line;
	struct err *err;
};

void scst_text_done(struct scst_text *text)
{
	for (size_t i = 0; i < text->n; i++) {
		for (size_t k = 0; k < text->list[i].n_words; k++) {
			explicit_bzero(text->list[i].words[k], strlen(text->list[i].words[k])); /* CHAP secrets are among them */
			free(text->list[i].words[k]);
		}
	}
	free(text->list);
	*text = (struct scst_text){ 0 };
}

const char *scst_word(const struct scst_statement *statement, size_t i)
{
	return i < statement->n_words ? statement->words[i] : "";
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line into `statement`; quotes may begin anywhere in it. */
static int parse_word(struct parser *p, const char **at, const char *end, struct scst_statement *statement)
{
	_cleanup_strbuf_ struct strbuf word = { 0 };
	bool quoted = false;
	const char *c = *at;

	if (statement->n_words == SCST_WORDS_MAX)
		return err_set(p->err, -EINVAL, "line %zu: more than %d words", p->line, SCST_WORDS_MAX);
	for (; c < end && (quoted || !is_blank(*c)); c++) {
		if (*c == '"') {
			quoted = !quoted;
			continue;
		}
		if (*c == '\\' && quoted && c + 1 < end && (c[1] == '"' || c[1] == '\\'))
			c++;
		if (*c < 0x20 || *c >= 0x7f)
			return err_set(p->err, -EINVAL, "line %zu: a byte that is not printable ASCII", p->line);
		if (word.len == SCST_WORD_SIZE_MAX)
			return err_set(p->err, -EINVAL, "line %zu: a word of more than %d bytes", p->line, SCST_WORD_SIZE_MAX);
		strbuf_add_bytes(&word, c, 1);
	}
	if (quoted)
		return err_set(p->err, -EINVAL, "line %zu: a quotation mark without its other", p->line);
	statement->words[statement->n_words++] = strbuf_steal(&word);
	*at = c;
	return 0;
}

static int close_block(struct parser *p, const struct scst_statement *statement)
{
	if (statement->n_words > 1)
		return err_set(p->err, -EINVAL, "line %zu: something after '}'", p->line);
	if (p->depth == 0)
		return err_set(p->err, -EINVAL, "line %zu: '}' without a block that is open", p->line);
	p->text.list[p->open[--p->depth]].end = p->text.n;
	return 0;
}

static int add_statement(struct parser *p, struct scst_statement *statement)
{
	size_t n = statement->n_words;
	bool opens = n > 1 && strcmp(statement->words[n - 1], "{") == 0;

	if (statement->words[0][0] == '[')
		return err_set(p->err, -EINVAL,
			       "line %zu: this is the format of SCST 1; have scstadmin of SCST 2 or 3 write the file anew", p->line);
	for (size_t i = 0; i < n - opens; i++) {
		if (statement->words[i][0] == '\0' && i == 0)
			return err_set(p->err, -EINVAL, "line %zu: begins with an empty word", p->line);
		if (strcmp(statement->words[i], "{") == 0 || strcmp(statement->words[i], "}") == 0)
			return err_set(p->err, -EINVAL, "line %zu: '%s' in the middle", p->line, statement->words[i]);
	}
	if (p->text.n == SCST_STATEMENTS_MAX)
		return err_set(p->err, -E2BIG, "line %zu: more than %d statements", p->line, SCST_STATEMENTS_MAX);
	if (opens && p->depth == SCST_DEPTH_MAX)
		return err_set(p->err, -EINVAL, "line %zu: blocks more than %d deep", p->line, SCST_DEPTH_MAX);
	if (opens)
		free(statement->words[--statement->n_words]);
	statement->line = p->line;
	statement->parent = p->depth ? p->open[p->depth - 1] : SIZE_MAX;
	statement->end = p->text.n + 1;
	if (opens)
		p->open[p->depth++] = p->text.n;
	*array_push(p->text.list, p->text.n, p->text.cap) = *statement;
	statement->n_words = 0; /* handed on */
	return 0;
}

static int parse_line(struct parser *p, const char *at, const char *end)
{
	struct scst_statement statement = { .n_words = 0 };
	int rc = 0;

	while (rc == 0) {
		while (at < end && is_blank(*at))
			at++;
		if (at == end || *at == '#')
			break;
		rc = parse_word(p, &at, end, &statement);
	}
	if (rc == 0 && statement.n_words && strcmp(statement.words[0], "}") == 0)
		rc = close_block(p, &statement);
	else if (rc == 0 && statement.n_words)
		rc = add_statement(p, &statement);
	for (size_t i = 0; i < statement.n_words; i++)
		free(statement.words[i]);
	return rc;
}

int scst_text_parse(const char *text, size_t size, struct scst_text *ret, struct err *err)
{
	struct parser p = { .line = 0, .err = err };
	const char *at = text, *end = text + size;
	int rc = 0;

	while (rc == 0 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline ? newline : end;

		p.line++;
		rc = parse_line(&p, at, line_end);
		at = newline ? newline + 1 : end;
	}
	if (rc == 0 && p.depth)
		rc = err_set(err, -EINVAL, "line %zu: the block that begins here has no '}'", p.text.list[p.open[p.depth - 1]].line);
	if (rc < 0)
		scst_text_done(&p.text);
	else
		*ret = p.text;
	return rc;
}
