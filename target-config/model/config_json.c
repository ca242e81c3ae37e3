// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/model/config_json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/xalloc.h"

/* --- the path ---*/

void path_add_key(struct strbuf *path, const char *key)
{
	char quoted[CONFIG_QUOTE_SIZE];
	bool plain = *key != '\0' && strlen(key) <= CONFIG_NAME_MAX;

	for (const char *p = key; plain && *p; p++)
		plain = isascii(*p) && (isalnum((unsigned char)*p) || *p == '_' || *p == '-');
	if (plain)
		strbuf_addf(path, "%s%s", path->len ? "." : "", key);
	else if (!config_text_initiator(key))
		strbuf_addf(path, "[\"%s\"]",
			    key); /* harmless, and the end of a long IQN is what tells it from others */
	else
		strbuf_addf(path, "[%s]", config_quote(key, quoted));
}

size_t reader_enter_key(struct reader *r, const char *key)
{
	size_t mark = r->path.len;

	path_add_key(&r->path, key);
	return mark;
}

size_t reader_enter_index(struct reader *r, size_t index)
{
	size_t mark = r->path.len;

	strbuf_addf(&r->path, "[%zu]", index);
	return mark;
}

void reader_leave(struct reader *r, size_t mark)
{
	if (!r->path.s)
		return;
	r->path.len = mark;
	r->path.s[mark] = '\0';
}

static int printf_like(3, 0) refuse(struct reader *r, int code, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_SIZE];

	vsnprintf(text, sizeof(text), fmt, ap);
	return err_set(r->err, code, "%s: %s", r->path.len ? r->path.s : "document", text);
}

int reader_refuse(struct reader *r, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = refuse(r, code, fmt, ap);
	va_end(ap);
	return code;
}

int reader_refuse_key(struct reader *r, const char *key, const char *fmt, ...)
{
	size_t mark = reader_enter_key(r, key);
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = refuse(r, -EINVAL, fmt, ap);
	va_end(ap);
	reader_leave(r, mark);
	return rc;
}

/* --- values ---*/

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_NULL:
		return "null";
	default:
		return "a boolean";
	}
}

int reader_expect_object(struct reader *r, json_t *value, size_t max)
{
	if (!json_is_object(value))
		return reader_refuse(r, -EINVAL, "must be an object {...}, not %s", type_name(value));
	if (json_object_size(value) > max)
		return reader_refuse(r, -E2BIG, "%zu members, at most %zu are supported", json_object_size(value), max);
	return 0;
}

int reader_expect_array(struct reader *r, json_t *value, size_t max)
{
	if (!json_is_array(value))
		return reader_refuse(r, -EINVAL, "must be an array [...], not %s", type_name(value));
	if (json_array_size(value) > max)
		return reader_refuse(r, -E2BIG, "%zu members, at most %zu are supported", json_array_size(value), max);
	return 0;
}

const char *reader_expect_text(struct reader *r, json_t *value)
{
	if (json_is_string(value))
		return json_string_value(value);
	(void)!reader_refuse(r, -EINVAL, "must be a string \"...\", not %s", type_name(value));
	return NULL;
}

static int read_integer(struct reader *r, const struct reader_key *key, json_t *value, int64_t *ret_n)
{
	int64_t n;

	if (!json_is_integer(value))
		return reader_refuse(r, -EINVAL, "must be an integer, not %s", type_name(value));
	n = json_integer_value(value);
	if (n < key->min || n > key->max)
		return reader_refuse(r, -EINVAL, "must be %" PRId64 " to %" PRId64 ", not %" PRId64, key->min, key->max,
				     n);
	*ret_n = n;
	return 0;
}

#define DEFINE_INTEGER_READER(name, type)                                                                              \
	int name(struct reader *r, const struct reader_key *key, json_t *value, void *where)                           \
	{                                                                                                              \
		int64_t n = 0;                                                                                         \
		int rc = read_integer(r, key, value, &n);                                                              \
                                                                                                                       \
		if (rc == 0)                                                                                           \
			*(type *)where = (type)n;                                                                      \
		return rc;                                                                                             \
	}

DEFINE_INTEGER_READER(reader_u16, uint16_t)
DEFINE_INTEGER_READER(reader_u32, uint32_t)
DEFINE_INTEGER_READER(reader_int, int)

int reader_word(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	char list[256] = "", quoted[CONFIG_QUOTE_SIZE];
	const char *text = reader_expect_text(r, value);
	unsigned int i;

	if (!text)
		return -EINVAL;
	for (i = 0; key->words[i]; i++) {
		if (strcmp(text, key->words[i]) == 0) {
			*(unsigned int *)where = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", key->words[i]);
	}
	return reader_refuse(r, -EINVAL, "must be one of %s, not %s", list, config_quote(text, quoted));
}

/* The value itself is not shown: it may be a password in the wrong place. */
int reader_text(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	const char *text = reader_expect_text(r, value);
	const char *wrong = text ? key->check(text) : NULL;

	if (!text)
		return -EINVAL;
	if (wrong)
		return reader_refuse(r, -EINVAL, "%s", wrong);
	*(char **)where = xstrdup(text);
	return 0;
}

int reader_size(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	const char *wrong;
	uint64_t bytes;

	(void)key;
	if (json_is_integer(value) && json_integer_value(value) > 0) {
		bytes = (uint64_t)json_integer_value(value);
	} else if (json_is_string(value)) {
		wrong = config_text_size(json_string_value(value), &bytes);
		if (wrong)
			return reader_refuse(r, -EINVAL, "%s", wrong);
	} else {
		return reader_refuse(r, -EINVAL, "must be bytes above 0 as a number, or a text like \"10GiB\"");
	}
	if (bytes == 0)
		return reader_refuse(r, -EINVAL, "must be more than 0");
	if (bytes > UINT64_C(1) << 50)
		return reader_refuse(r, -EINVAL, "at most 1024TiB are supported");
	*(uint64_t *)where = bytes;
	return 0;
}

/* --- objects ---*/

static const struct reader_key *find_key(const struct reader_key *keys, size_t n_keys, const char *name)
{
	for (size_t i = 0; i < n_keys; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int refuse_unknown_key(struct reader *r, const struct reader_key *keys, size_t n_keys, const char *name)
{
	char list[ERR_TEXT_SIZE] = "";

	for (size_t i = 0; i < n_keys; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", keys[i].name);
	return reader_refuse_key(r, name, "unknown key; known here: %s", list);
}

/* In the order of the table, not of the document: what is referred to comes before what refers to it. */
int reader_object(struct reader *r, json_t *value, const struct reader_key *keys, size_t n_keys, void *object)
{
	int rc = reader_expect_object(r, value, SIZE_MAX);
	json_t *member;
	const char *name;

	if (rc < 0)
		return rc;
	json_object_foreach(value, name, member)
		if (!find_key(keys, n_keys, name))
			return refuse_unknown_key(r, keys, n_keys, name);
	for (size_t i = 0; i < n_keys; i++) {
		size_t mark;

		member = json_object_get(value, keys[i].name);
		if (!member && keys[i].example)
			return reader_refuse_key(r, keys[i].name, "missing; add it, e.g. \"%s\": %s", keys[i].name,
						 keys[i].example);
		if (!member)
			continue;
		mark = reader_enter_key(r, keys[i].name);
		rc = keys[i].read(r, &keys[i], member, (char *)object + keys[i].offset);
		if (rc < 0)
			return rc;
		reader_leave(r, mark);
	}
	return 0;
}

/* --- the text ---*/

/* jansson quotes the input near the fault, which may be a password: only a duplicate key is good to show, in ASCII. */
static void clean_quotation(json_error_t *error)
{
	char *near = strstr(error->text, " near '");

	if (near && json_error_code(error) != json_error_duplicate_key)
		*near = '\0';
	for (char *p = error->text; *p; p++)
		if (*p < 0x20 || *p >= 0x7f)
			*p = '?';
}

json_t *reader_load(const char *text, size_t size, struct err *err)
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);

	if (root)
		return root;
	clean_quotation(&error);
	err_set(err, -EINVAL, "line %d, column %d: %s", error.line, error.column, error.text);
	return NULL;
}
