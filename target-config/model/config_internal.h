/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the model share: the stages of config_parse() and helpers over lists that are sorted by name. */
#ifndef TARGET_CONFIG_CONFIG_INTERNAL_H
#define TARGET_CONFIG_CONFIG_INTERNAL_H

#include "target-config/model/config.h"

#define CONFIG_MINOR_UNSET UINT32_MAX        /* until assigned */
#define CONFIG_DRBD_VOLUME_UNSET UINT16_MAX

/* What must hold between objects of one document; before and after assignment alike. */
int config_check_rules(const struct config *config, struct err *err) must_check;
/* Fills in what the operator left out; takes it over from `old` where that has it. */
int config_assign(struct config *config, const struct config *old, void (*random_bytes)(void *, size_t),
		  struct err *err) must_check;
/* Unique serials, ports, minors ...: needs them assigned. */
int config_check_assigned(const struct config *config, struct err *err) must_check;
/* What may not change while there are data and hosts. */
int config_check_change(const struct config *old, const struct config *config, struct err *err) must_check;

/* "<section>.<name>.<key>: <text>"; key may be NULL. Returns -EINVAL. */
int config_refuse(struct err *err, const char *section, const char *name, const char *key, const char *fmt, ...)
	printf_like(5, 6);

/* ", "parameters": {...}" if there are any. */
void config_print_parameters(struct strbuf *sb, const struct config_target *target);

/* The element of that name in an array whose elements start with a `char *name` and are sorted by it. */
const void *config_find_named(const void *array, size_t n, size_t item_size, const char *name);
int config_compare_names(const void *a, const void *b);

#endif
