/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict reading of JSON by tables of keys. Every refusal starts with the path of the value at fault, e.g. `targets["iqn.2026-11.org.example:t1"].portals[0].port: must be 1 to 65535`.
 */
#ifndef TARGET_CONFIG_CONFIG_JSON_H
#define TARGET_CONFIG_CONFIG_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "target-config/model/config.h"
#include "target-config/model/config_text.h"

struct reader {
	struct strbuf path;    /* of the value being read */
	struct config *config; /* what was read so far, for references */
	struct err *err;
};

struct reader_key;
/* Reads `value` into `where`. Whatever it stored belongs to the model, also on error. */
typedef int reader_fn(struct reader *r, const struct reader_key *key, json_t *value, void *where);

struct reader_key {
	const char *name;
	reader_fn *read;
	size_t offset; /* of the field in the object */
	const char *example; /* the value for the text "missing; add ...": a key with an example is required */
	int64_t min, max;         /* of integers */
	const char *const *words; /* reader_word: NULL-terminated, the index is stored */
	config_text_fn *check;    /* reader_text */
};

reader_fn reader_u16, reader_u32, reader_int;
reader_fn reader_word; /* enum */
reader_fn reader_text; /* char * */
reader_fn reader_size; /* uint64_t */

/* Refuses with "<path>: <text>"; err_set()'s code is returned. */
int reader_refuse(struct reader *r, int code, const char *fmt, ...) printf_like(3, 4) must_check;
/* The same for a member of the object being read: "<path>.<key>: <text>". */
int reader_refuse_key(struct reader *r, const char *key, const char *fmt, ...) printf_like(3, 4) must_check;

/* Extends the path; the returned mark takes it back. */
size_t reader_enter_key(struct reader *r, const char *key);
size_t reader_enter_index(struct reader *r, size_t index);
void reader_leave(struct reader *r, size_t mark);

/* The members of an object by the table; unknown keys and missing required ones are refused. */
int reader_object(struct reader *r, json_t *value, const struct reader_key *keys, size_t n_keys,
		  void *object) must_check;
/* Refuses anything but an object (array) with at most `max` members. */
int reader_expect_object(struct reader *r, json_t *value, size_t max) must_check;
int reader_expect_array(struct reader *r, json_t *value, size_t max) must_check;
/* The string itself, or NULL after a refusal. */
const char *reader_expect_text(struct reader *r, json_t *value) must_check;

/* The value of a document that config_target_parameter() gives back as `text`; NULL: the parameter has no such value. */
json_t *config_parameter_json(size_t i, const char *text) must_check;

/* Appends ".key" or, for what is no plain word, "[\"key\"]". */
void path_add_key(struct strbuf *path, const char *key);

/* The whole text; duplicate keys are refused. NULL after a refusal with line and column. */
json_t *reader_load(const char *text, size_t size, struct err *err) must_check;

#endif
