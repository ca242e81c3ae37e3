// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as LIO's reservations of a volume; after a NUL, further ones: what the cluster has, what a kernel had, what it has. Nothing
 * crashes, what is refused leaves nothing behind, what is taken is printed and read alike, and merging keeps to the rules of pr.h.
 */
#include <string.h>

#include "target-config/pr/pr.h"
#include "tests/fuzz/fuzz.h"

static bool parse(const uint8_t **data, size_t *size, struct pr_table *ret)
{
	const uint8_t *nul = *size ? memchr(*data, '\0', *size) : NULL;
	size_t n = nul ? (size_t)(nul - *data) + 1 : *size;
	struct err err = ERR_INIT;
	int rc = pr_table_parse((const char *)*data, n, ret, &err);

	require(rc == 0 ? nul != NULL : !ret->registrations && err.code == rc && err.text[0]);
	*data += n;
	*size -= n;
	return rc == 0;
}

static void check_table(const struct pr_table *table)
{
	struct strbuf text = { 0 }, again = { 0 }, load = { 0 };
	struct pr_table copy = { 0 };

	require(!pr_table_holder(table) == !table->type);
	pr_table_print(table, &text);
	if (text.len + 1 <= PR_TEXT_MAX) {
		require(pr_table_parse(text.s, text.len + 1, &copy, NULL) == 0 && pr_table_equal(table, &copy));
		pr_table_print(&copy, &again);
		require(strcmp(text.s, again.s) == 0);
	}
	for (size_t i = 0; i < table->n; i++) {
		strbuf_reset(&load);
		pr_registration_load(table, &table->registrations[i], &load);
		require(load.len < 4096); /* one write(2) to configfs */
	}
	require(!pr_table_is_listed(table, strbuf_str(&text)));
	pr_table_done(&copy);
	strbuf_done(&text);
	strbuf_done(&again);
	strbuf_done(&load);
}

static void check_merges(const struct pr_table *cluster, const struct pr_table *before, const struct pr_table *after)
{
	struct pr_table merged = { 0 }, other = { 0 }, loaded = { 0 };
	struct strbuf text = { 0 };

	if (pr_merge_owner(cluster, after, &merged, NULL) == 0) {
		check_table(&merged);
		pr_table_loaded(&merged, &loaded);
		require(merged.type == after->type && loaded.n >= after->n);
	}
	if (pr_merge_other(cluster, before, after, 1, &other, NULL) == 0) {
		struct pr_change change = pr_table_compare(cluster, &other);

		require(!change.reservation);
		pr_table_describe(cluster, &other, &text);
		require((change.n_added || change.n_rekeyed || change.n_removed) == (text.len > 0));
	}
	pr_table_done(&merged);
	pr_table_done(&other);
	pr_table_done(&loaded);
	strbuf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pr_table tables[3] = { 0 };
	size_t n = 0;

	while (n < 3 && size && parse(&data, &size, &tables[n]))
		check_table(&tables[n++]);
	if (n)
		check_merges(&tables[0], &tables[n > 2], &tables[n - 1]);
	for (size_t i = 0; i < 3; i++)
		pr_table_done(&tables[i]);
	return 0;
}
