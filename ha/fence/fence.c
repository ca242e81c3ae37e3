// SPDX-License-Identifier: GPL-2.0-or-later
#include "ha/fence/fence.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/run_cmd.h"
#include "base/strbuf.h"
#include "base/xalloc.h"

#define DEFAULT_DIR "/usr/sbin"
#define HIDDEN "********"

/* The name becomes a path and a process name. */
static bool is_file_name(const char *name)
{
	return *name && *name != '.' && *name != '-' && !strchr(name, '/');
}

/* One option is one line, its key ends at the first '='. */
static bool is_sendable(const struct fence_option *option)
{
	return *option->key && !strpbrk(option->key, "=\n\r \t") && !strpbrk(option->value, "\n\r");
}

static bool names_key(const struct fence_option *options, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(options[i].key, key) == 0)
			return true;
	return false;
}

/* The action is ours: a document that says action=status must not make "off" look done. */
static int add_options(struct strbuf *input, const struct fence_option *options, size_t n, const struct fence_option *overriding,
		       size_t n_overriding, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_sendable(&options[i]))
			return err_set(err, -EINVAL, "fence option %zu: a key or value that a fence agent cannot read", i);
		if (strcmp(options[i].key, "action") == 0 || strcmp(options[i].key, "option") == 0)
			return err_set(err, -EINVAL, "fence option \"%s\": the action is chosen by Lunward; remove it",
				       options[i].key);
		if (!names_key(overriding, n_overriding, options[i].key))
			strbuf_addf(input, "%s=%s\n", options[i].key, options[i].value);
	}
	return 0;
}

/* Options that say where or what, not who may: seeing them in an error helps. All others are taken for secrets. */
static bool is_public(const char *key)
{
	static const char *const keys[] = { "plug", "port", "ip", "ipaddr", "ipport", "nodename", "username", "login", "method",
					    "lanplus", "ssl", "ssh", "verbose", "delay", "power_timeout", "shell_timeout",
					    "login_timeout", "power_wait", "retry_on" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* Replaces every occurrence of `secret` in text. */
static void hide(char *text, size_t size, const char *secret)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	const char *from = text, *hit;

	if (!*secret)
		return;
	while ((hit = strstr(from, secret))) {
		strbuf_add_bytes(&sb, from, (size_t)(hit - from));
		strbuf_add(&sb, HIDDEN);
		from = hit + strlen(secret);
	}
	strbuf_add(&sb, from);
	strncpy(text, strbuf_str(&sb), size - 1);
	text[size - 1] = '\0';
}

/* run_cmd() cuts what a program says: the last word may be the beginning of a secret. */
static void hide_cut_off(char *text, const char *secret)
{
	size_t len = strlen(text);

	for (size_t k = strlen(secret); k-- > 3;) {
		if (k <= len && memcmp(text + len - k, secret, k) == 0) {
			text[len - k] = '\0';
			return;
		}
	}
}

static void hide_secrets(struct err *err, const struct fence_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_public(options[i].key)) {
			hide(err->text, sizeof(err->text), options[i].value);
			hide_cut_off(err->text, options[i].value);
		}
}

int fence_run(const struct fence_request *request, struct err *err)
{
	const char *action = request->action ? request->action : "off";
	_cleanup_free_ char *path = NULL;
	_cleanup_strbuf_ struct strbuf input = { 0 };
	const char *argv[] = { NULL, NULL };
	struct run_cmd cmd = { .argv = argv, .deadline_ms = request->deadline_ms };
	struct err own = ERR_INIT;
	int rc;

	if (!is_file_name(request->agent))
		return err_set(err, -EINVAL, "fence agent \"%s\": not the name of a program", request->agent);
	strbuf_addf(&input, "action=%s\n", action);
	rc = add_options(&input, request->options, request->n_options, request->node_options, request->n_node_options, err);
	if (rc == 0)
		rc = add_options(&input, request->node_options, request->n_node_options, NULL, 0, err);
	if (rc < 0)
		return rc;
	path = xasprintf("%s/%s", request->dir ? request->dir : DEFAULT_DIR, request->agent);
	argv[0] = path;
	cmd.input = strbuf_str(&input);
	rc = run_cmd(&cmd, NULL, NULL, &own);
	explicit_bzero(input.s, input.len);
	if (rc == 0)
		return 0;
	hide_secrets(&own, request->options, request->n_options);
	hide_secrets(&own, request->node_options, request->n_node_options);
	return err_set(err, rc, "fence agent, action %s: %s", action, own.text);
}
