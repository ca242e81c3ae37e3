/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text for a terminal: wrapped at a width, coloured or not. What comes from elsewhere (error texts, names) is made harmless:
 * control characters, which a terminal would obey, become '?'.
 */
#ifndef AGENT_CLI_PAGE_H
#define AGENT_CLI_PAGE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/strbuf.h"

#define PAGE_WIDTH 80
#define PAGE_TEXT_MAX 2048 /* bytes of one paragraph; what is longer is cut */

enum page_colour { PAGE_PLAIN, PAGE_GOOD, PAGE_WARN, PAGE_BAD, PAGE_BOLD };

struct page {
	struct strbuf text;
	int width;
	bool colour;
};

/* A paragraph: `lead` in its colour, then the formatted text after a space, wrapped; further lines are indented by `indent`
 * columns. lead may have leading spaces and may be "". `Commands in backquotes` are never broken. */
void page_add(struct page *page, int indent, enum page_colour colour, const char *lead, const char *fmt, ...) printf_like(5, 6);
void page_blank(struct page *page);

#endif
