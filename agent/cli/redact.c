// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/redact.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/xalloc.h"

#define SECRET_LEN_MIN 3 /* shorter ones would star out half of every text */

bool redact_is_secret_name(const char *name)
{
	static const char *const parts[] = { "pass", "secret", "_key", "community" }, *const ends[] = { "token", "psk" };
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strcasestr(name, parts[i]))
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t end = strlen(ends[i]);

		if (len >= end && strcasecmp(name + len - end, ends[i]) == 0)
			return true;
	}
	return false;
}

static void add_secret(json_t *secrets, json_t *value)
{
	if (json_is_string(value) && json_string_length(value) >= SECRET_LEN_MIN)
		json_array_append(secrets, value);
}

void redact_collect(json_t *document, json_t *secrets)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_array(document)) {
		json_array_foreach (document, i, value)
			redact_collect(value, secrets);
		return;
	}
	json_object_foreach (document, key, value) {
		if (json_is_string(value) && redact_is_secret_name(key))
			add_secret(secrets, value);
		else
			redact_collect(value, secrets);
	}
}

/* --- known secrets --------------------------------------------------------------------------------------------------------*/

static size_t secret_at(const char *text, json_t *secrets)
{
	json_t *secret;
	size_t i, longest = 0;

	json_array_foreach (secrets, i, secret) {
		size_t len = json_string_length(secret);

		if (len > longest && strncmp(text, json_string_value(secret), len) == 0)
			longest = len;
	}
	return longest;
}

char *redact_known(const char *text, json_t *secrets)
{
	struct strbuf sb = { 0 };

	while (*text) {
		size_t len = secret_at(text, secrets);

		if (len)
			strbuf_add(&sb, REDACT_STARS);
		else
			strbuf_add_bytes(&sb, text, 1);
		text += len ? len : 1;
	}
	return strbuf_steal(&sb);
}

/* --- what looks like one ----------------------------------------------------------------------------------------------------*/

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Where the value behind a name begins; NULL: none does. */
static const char *value_after(const char *s)
{
	bool quoted = false;

	for (; *s == ' ' || *s == '\t' || *s == '"' || *s == '\''; s++)
		quoted = quoted || *s == '"' || *s == '\'';
	if (*s == ':' || *s == '=')
		return s[1] ? s + 1 : NULL;
	if (strncmp(s, "(str) = ", 8) == 0 || strncmp(s, "value=", 6) == 0)
		return strchr(s, '=') + 1;
	return quoted && *s && s[-1] != ' ' ? s : NULL;
}

static void redact_line(struct strbuf *sb, const char *line, size_t len)
{
	_cleanup_free_ char *copy = xmemdup(line, len + 1);

	copy[len] = '\0';
	for (const char *s = copy; *s;) {
		size_t name_len = 0;
		_cleanup_free_ char *name = NULL;
		const char *value;

		while (is_name_char(s[name_len]))
			name_len++;
		name = xmemdup(s, name_len + 1);
		name[name_len] = '\0';
		value = name_len && redact_is_secret_name(name) ? value_after(s + name_len) : NULL;
		if (value) {
			strbuf_add_bytes(sb, copy, (size_t)(value - copy));
			strbuf_add(sb, REDACT_STARS);
			return;
		}
		s += name_len ? name_len : 1;
	}
	strbuf_add(sb, copy);
}

char *redact(const char *text, json_t *secrets)
{
	_cleanup_free_ char *starred = redact_known(text, secrets);
	struct strbuf sb = { 0 };

	for (const char *line = starred; *line;) {
		size_t len = strcspn(line, "\n");

		redact_line(&sb, line, len);
		if (line[len])
			strbuf_add(&sb, "\n");
		line += len + (line[len] == '\n');
	}
	return strbuf_steal(&sb);
}
