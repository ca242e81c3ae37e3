// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/exchange/foreign.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/model/config_text.h"

const char *foreign_fabric(enum config_fabric_id id)
{
	static const char *const names[CONFIG_FABRICS] = { "iscsi", "srpt", "tcm_fc", "qla2xxx" };

	return names[id];
}

static char *make_printable(const char *text)
{
	char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		*p = *p < 0x20 || *p >= 0x7f ? '?' : *p;
	return copy;
}

static void printf_like(4, 0) add_note(struct exchange_notes *notes, bool is_left_out, const char *object, const char *fmt, va_list ap)
{
	struct exchange_note *note = array_push(notes->list, notes->n, notes->cap);
	char text[ERR_TEXT_SIZE];

	vsnprintf(text, sizeof(text), fmt, ap);
	*note = (struct exchange_note){ is_left_out, make_printable(object), make_printable(text) };
}

void note_left_out(struct exchange_notes *notes, const char *object, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_note(notes, true, object, fmt, ap);
	va_end(ap);
}

void note_changed(struct exchange_notes *notes, const char *object, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_note(notes, false, object, fmt, ap);
	va_end(ap);
}

void exchange_notes_done(struct exchange_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		free(notes->list[i].object);
		free(notes->list[i].text);
	}
	free(notes->list);
	*notes = (struct exchange_notes){ 0 };
}

void foreign_init(struct foreign *foreign, struct exchange_notes *notes)
{
	*foreign = (struct foreign){ .names = json_object(), .notes = notes };
}

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void free_chap(struct config_chap *chap)
{
	free(chap->user);
	free_secret(chap->password);
}

void foreign_done(struct foreign *foreign)
{
	for (size_t i = 0; i < foreign->n_disks; i++) {
		struct foreign_disk *disk = &foreign->disks[i];

		free(disk->object);
		free(disk->name);
		free(disk->device);
		free(disk->serial);
		free(disk->volume);
	}
	for (size_t i = 0; i < foreign->n_tpgs; i++) {
		struct foreign_tpg *tpg = &foreign->tpgs[i];

		for (size_t k = 0; k < tpg->n_portals; k++)
			free(tpg->portals[k].address);
		free(tpg->portals);
		free(tpg->object);
		free(tpg->iqn);
	}
	for (size_t i = 0; i < foreign->n_acls; i++) {
		struct foreign_acl *acl = &foreign->acls[i];

		for (size_t k = 0; k < acl->n_luns; k++)
			free(acl->luns[k].object);
		free(acl->luns);
		free(acl->object);
		free(acl->initiator);
		free(acl->name);
		free_chap(&acl->chap);
		free_chap(&acl->mutual_chap);
	}
	free_chap(&foreign->discovery.chap);
	free_chap(&foreign->discovery.mutual_chap);
	free(foreign->disks);
	free(foreign->tpgs);
	free(foreign->acls);
	json_decref(foreign->names);
	json_decref(foreign->root);
}

size_t foreign_find_disk(const struct foreign *foreign, const char *key)
{
	const json_t *index = json_object_get(foreign->names, key);

	return index ? (size_t)json_integer_value(index) : FOREIGN_NONE;
}

bool foreign_take_chap(struct foreign *foreign, const char *object, const char *user, const char *password, struct config_chap *chap)
{
	const char *wrong = config_text_chap_user(user);

	if (!wrong)
		wrong = config_text_chap_password(password);
	if (wrong) {
		note_left_out(foreign->notes, object, "%s; change it at the host and here, or add the host by hand", wrong);
		return false;
	}
	chap->user = xstrdup(user);
	chap->password = xstrdup(password);
	return true;
}

const char *foreign_value_text(const json_t *value, char ret_text[24])
{
	if (json_is_string(value))
		return json_string_value(value);
	if (!json_is_integer(value))
		return "?";
	snprintf(ret_text, 24, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return ret_text;
}
