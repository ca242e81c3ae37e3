// SPDX-License-Identifier: GPL-2.0-or-later
/* Wrapped and coloured text. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/page.h"

static const char *const colours[] = {
	[PAGE_PLAIN] = NULL, [PAGE_GOOD] = "32;1", [PAGE_WARN] = "33;1", [PAGE_BAD] = "31;1", [PAGE_BOLD] = "1",
};

/* Bytes up to the next place where a line may end: at a blank, but not inside `a command to copy`. */
static size_t word_length(const char *s)
{
	size_t len = strcspn(s, " \n"), tick = strcspn(s, "`");

	if (tick < len && strchr(s + tick + 1, '`')) {
		len = (size_t)(strchr(s + tick + 1, '`') - s);
		len += strcspn(s + len, " \n");
	}
	return len;
}

/* UTF-8: bytes that continue a character take no column. */
static int columns(const char *s, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static void add_harmless(struct strbuf *sb, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		/* C0, DEL, and C1 as UTF-8 writes it (c2 80 to c2 9f) */
		if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < len && (unsigned char)s[i + 1] < 0xa0)) {
			strbuf_add(sb, "?");
			i += c == 0xc2;
		} else {
			strbuf_add_bytes(sb, s + i, 1);
		}
	}
}

static void add_lead(struct page *page, enum page_colour colour, const char *lead)
{
	size_t blanks = strspn(lead, " ");

	strbuf_add_bytes(&page->text, lead, blanks);
	if (page->colour && colours[colour])
		strbuf_addf(&page->text, "\033[%sm", colours[colour]);
	add_harmless(&page->text, lead + blanks, strlen(lead + blanks));
	if (page->colour && colours[colour])
		strbuf_add(&page->text, "\033[0m");
}

void page_add(struct page *page, int indent, enum page_colour colour, const char *lead, const char *fmt, ...)
{
	char text[PAGE_TEXT_MAX];
	int column = columns(lead, strlen(lead));
	const char *s;
	va_list ap;
	bool first = column == 0;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_lead(page, colour, lead);
	for (s = text; *s;) {
		size_t blanks = strspn(s, " \n"), len = word_length(s + blanks);
		int width = columns(s + blanks, len);
		/* Runs of blanks are kept within a line: they align columns. */
		int gap = first ? 0 : (int)MAX(blanks, (size_t)1);

		if (len == 0)
			break;
		if (!first && column + gap + width > page->width && column > indent) {
			strbuf_addf(&page->text, "\n%*s", indent, "");
			column = indent;
			gap = 0;
		}
		strbuf_addf(&page->text, "%*s", gap, "");
		add_harmless(&page->text, s + blanks, len);
		column += gap + width;
		first = false;
		s += blanks + len;
	}
	strbuf_add(&page->text, "\n");
}

void page_blank(struct page *page)
{
	strbuf_add(&page->text, "\n");
}
