/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of pr: tables as its files share them. */
#ifndef TARGET_CONFIG_PR_INTERNAL_H
#define TARGET_CONFIG_PR_INTERNAL_H

#include "target-config/pr/pr.h"

int pr_path_compare(const struct pr_registration *a, const struct pr_registration *b); /* order of a table */
bool pr_same_path(const struct pr_registration *a, const struct pr_registration *b);
/* The registration of the same path; NULL: none. */
struct pr_registration *pr_table_find(const struct pr_table *table, const struct pr_registration *path);
struct pr_registration *pr_table_add(struct pr_table *table);
void pr_table_remove(struct pr_table *table, struct pr_registration *registration);
void pr_table_sort(struct pr_table *table);

#endif
