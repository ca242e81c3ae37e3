// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scst.conf: HANDLER { DEVICE }, TARGET_DRIVER { TARGET { LUN, GROUP { LUN, INITIATOR } } }, DEVICE_GROUP. Devices of vdisk_blockio and of
 * vdisk_fileio on block devices become volumes, initiators of groups become hosts. SCST's disk identifiers are not LIO's: hosts see new
 * disks, and each one's note says so.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/exchange/foreign.h"
#include "target-config/exchange/scst_text.h"
#include "target-config/model/config_text.h"

struct source {
	struct foreign *foreign;
	struct scst_text text;
	struct err *err;
};

/* The statements directly in the block of statement `parent` (SIZE_MAX: at the top). */
#define for_each_in(s, parent_, i)                                                                                                       \
	for (size_t i = (parent_) == SIZE_MAX ? 0 : (parent_) + 1,                                                                       \
		    i##_end = (parent_) == SIZE_MAX ? (s)->text.n : (s)->text.list[parent_].end;                                         \
	     i < i##_end; i = (s)->text.list[i].end)

static const struct scst_statement *at(const struct source *s, size_t i)
{
	return &s->text.list[i];
}

static bool is(const struct source *s, size_t i, const char *word)
{
	return strcmp(at(s, i)->words[0], word) == 0;
}

static int refuse(const struct source *s, size_t i, const char *text)
{
	return err_set(s->err, -EINVAL, "line %zu: %s: %s", at(s, i)->line, at(s, i)->words[0], text);
}

/* The value of an attribute in a block; NULL if it is not there. */
static const char *value(const struct source *s, size_t block, const char *name)
{
	for_each_in (s, block, i) {
		if (is(s, i, name))
			return scst_word(at(s, i), 1);
	}
	return NULL;
}

static bool is_on(const struct source *s, size_t block, const char *name)
{
	const char *text = value(s, block, name);

	return text && strcmp(text, "0") != 0;
}

/* Attributes that Lunward has no word for, on one line, without values: there may be secrets among them. */
static void note_attributes(const struct source *s, size_t block, const char *object, const char *const *known)
{
	_cleanup_strbuf_ struct strbuf names = { 0 };

	for_each_in (s, block, i) {
		const char *name = at(s, i)->words[0];
		size_t k = 0;

		while (known[k] && strcmp(known[k], name) != 0)
			k++;
		if (!known[k] && names.len < 300)
			strbuf_addf(&names, "%s%.64s", names.len ? ", " : "", name);
	}
	if (names.len)
		note_changed(s->foreign->notes, object, "not taken over, LIO has no such setting or Lunward makes it: %s", names.s);
}

/* --- devices ---*/

static bool is_good_device(const struct source *s, size_t block, const struct foreign_disk *disk, const char *handler)
{
	struct exchange_notes *notes = s->foreign->notes;

	if (strcmp(handler, "vdisk_blockio") != 0 && strcmp(handler, "vdisk_fileio") != 0)
		note_left_out(notes, disk->object, "devices of handler %.64s are not served by Lunward", handler);
	else if (is_on(s, block, "read_only") || is_on(s, block, "cdrom"))
		note_left_out(notes, disk->object, "it is read-only, and hosts could write it afterwards");
	else if (config_text_device(disk->device))
		note_left_out(notes, disk->object, "filename: %s; copy a file to a block device and serve that",
			      config_text_device(disk->device));
	else if (disk->block_size != 512 && disk->block_size != 4096)
		note_left_out(notes, disk->object, "its block size is %u, Lunward serves 512 and 4096", disk->block_size);
	else
		return true;
	return false;
}

static int read_device(struct source *s, size_t block, const char *handler)
{
	static const char *const known[] = { "filename", "usn", "blocksize", "read_only", "size", "size_mb", "active", "cdrom", NULL };
	struct foreign *foreign = s->foreign;
	const char *name = scst_word(at(s, block), 1), *device = value(s, block, "filename"), *usn = value(s, block, "usn");
	const char *block_size = value(s, block, "blocksize");
	struct foreign_disk *disk;

	if (at(s, block)->n_words != 2)
		return refuse(s, block, "must have one name");
	if (json_object_get(foreign->names, name))
		return refuse(s, block, "a device of this name was there before");
	json_object_set_new(foreign->names, name, json_integer((json_int_t)foreign->n_disks));
	disk = array_push(foreign->disks, foreign->n_disks, foreign->cap_disks);
	disk->object = xasprintf("DEVICE %s", name);
	disk->name = xstrdup(name);
	disk->device = xstrdup(device ? device : "");
	disk->block_size = block_size ? (uint32_t)strtoul(block_size, NULL, 10) : 512;
	disk->is_left_out = !is_good_device(s, block, disk, handler);
	if (disk->is_left_out)
		return 0;
	if (usn && !config_text_serial(usn))
		disk->serial = xstrdup(usn);
	note_changed(foreign->notes, disk->object,
		     "hosts see another disk: vendor LIO-ORG, an NAA id that begins with 6001405, and %s; take it out of use at the hosts "
		     "first, and their settings by disk id with it",
		     disk->serial ? "its usn as serial" : "a new serial");
	note_attributes(s, block, disk->object, known);
	return 0;
}

static int read_handler(struct source *s, size_t block)
{
	int rc = 0;

	for_each_in (s, block, i) {
		if (rc == 0 && is(s, i, "DEVICE"))
			rc = read_device(s, i, scst_word(at(s, block), 1));
	}
	return rc;
}

/* --- targets ---*/

static int read_lun(struct source *s, size_t statement, const char *object, struct foreign_acl *acl)
{
	const struct scst_statement *words = at(s, statement);
	struct foreign_lun lun = { .disk = foreign_find_disk(s->foreign, scst_word(words, 2)) };
	char *end;
	unsigned long number = strtoul(scst_word(words, 1), &end, 10);

	if (words->n_words != 3 || *end || end == words->words[1] || number > 65535)
		return refuse(s, statement, "must be followed by a number and a device");
	if (lun.disk == FOREIGN_NONE)
		return refuse(s, statement, "there is no DEVICE of this name before it");
	lun.lun = (uint32_t)number;
	lun.object = xasprintf("%s/LUN %u", object, lun.lun);
	if (!is_on(s, statement, "read_only")) {
		*array_push(acl->luns, acl->n_luns, acl->cap_luns) = lun;
		return 0;
	}
	note_left_out(s->foreign->notes, lun.object, "it is read-only for this group, which Lunward has no word for");
	free(lun.object);
	return 0;
}

/* "user password" in one word with a blank or in two words; NULL if it is not that. */
static char *split_secret(const struct scst_statement *statement, const char **ret_password)
{
	char *copy = xstrdup(scst_word(statement, 1)), *blank = strchr(copy, ' ');

	if (statement->n_words == 3 && !blank) {
		*ret_password = statement->words[2];
		return copy;
	}
	if (statement->n_words == 2 && blank) {
		*blank = '\0';
		*ret_password = blank + 1;
		return copy;
	}
	explicit_bzero(copy, strlen(copy));
	free(copy);
	return NULL;
}

static bool take_secret(struct source *s, const struct foreign_acl *acl, const struct scst_statement *statement, struct config_chap *chap)
{
	const char *password = NULL;
	char *user = split_secret(statement, &password);
	bool good = false;

	if (chap->user)
		note_left_out(s->foreign->notes, acl->object, "the target has several %s, and a host has one with Lunward: add the host by hand",
			      statement->words[0]);
	else if (!user)
		note_left_out(s->foreign->notes, acl->object, "%s is not a name and a password: add the host by hand", statement->words[0]);
	else
		good = foreign_take_chap(s->foreign, acl->object, user, password, chap);
	if (password && user)
		explicit_bzero((char *)(uintptr_t)password, strlen(password));
	free(user);
	return good;
}

/* SCST has the secrets of a target for all its initiators. False: then the ACL is left out. */
static bool take_secrets(struct source *s, size_t target, struct foreign_acl *acl)
{
	for_each_in (s, target, i) {
		if (is(s, i, "IncomingUser") && !take_secret(s, acl, at(s, i), &acl->chap))
			return false;
		if (is(s, i, "OutgoingUser") && !take_secret(s, acl, at(s, i), &acl->mutual_chap))
			return false;
	}
	if (acl->mutual_chap.user && !acl->chap.user)
		note_left_out(s->foreign->notes, acl->object, "it has OutgoingUser without IncomingUser: add the host by hand");
	else if (acl->mutual_chap.user && strcmp(acl->chap.password, acl->mutual_chap.password) == 0)
		note_left_out(s->foreign->notes, acl->object, "IncomingUser and OutgoingUser have the same password: add the host by hand");
	else
		return true;
	return false;
}

static int read_initiator(struct source *s, size_t target, size_t group, size_t statement, const char *object)
{
	struct foreign *foreign = s->foreign;
	const char *initiator = scst_word(at(s, statement), 1);
	struct foreign_acl *acl;
	int rc = 0;

	if (at(s, statement)->n_words != 2)
		return refuse(s, statement, "must have one name");
	acl = array_push(foreign->acls, foreign->n_acls, foreign->cap_acls);
	acl->object = xasprintf("%s/INITIATOR %s", object, initiator);
	acl->tpg = foreign->n_tpgs - 1;
	acl->name = xstrdup(scst_word(at(s, group), 1));
	for_each_in (s, group, i) {
		if (rc == 0 && is(s, i, "LUN"))
			rc = read_lun(s, i, acl->object, acl);
	}
	if (rc < 0)
		return rc;
	if (strpbrk(initiator, "*?!"))
		note_left_out(foreign->notes, acl->object, "LIO has no patterns: name each initiator of the host");
	else if (config_text_initiator(initiator))
		note_left_out(foreign->notes, acl->object, "%s", config_text_initiator(initiator));
	else if (take_secrets(s, target, acl))
		acl->initiator = xstrdup(initiator);
	return 0;
}

static int read_group(struct source *s, size_t target, size_t group, const char *target_object)
{
	static const char *const known[] = { "LUN", "INITIATOR", NULL };
	_cleanup_free_ char *object = xasprintf("%s/GROUP %s", target_object, scst_word(at(s, group), 1));
	int rc = at(s, group)->n_words == 2 ? 0 : refuse(s, group, "must have one name");

	for_each_in (s, group, i) {
		if (rc == 0 && is(s, i, "INITIATOR"))
			rc = read_initiator(s, target, group, i, object);
	}
	if (rc == 0)
		note_attributes(s, group, object, known);
	return rc;
}

static void add_portal(struct foreign_tpg *tpg, const char *address)
{
	struct foreign_portal *portal = array_push(tpg->portals, tpg->n_portals, tpg->cap_portals);

	portal->address = xstrdup(address);
	portal->port = 3260;
}

static int read_target(struct source *s, size_t block)
{
	static const char *const known[] = { "LUN", "GROUP", "allowed_portal", "enabled", "IncomingUser", "OutgoingUser", "rel_tgt_id",
					     NULL };
	struct foreign *foreign = s->foreign;
	struct foreign_tpg *tpg = array_push(foreign->tpgs, foreign->n_tpgs, foreign->cap_tpgs);
	const char *iqn = scst_word(at(s, block), 1);
	_cleanup_free_ char *object = xasprintf("TARGET %s", iqn);
	bool any_lun = false;
	int rc = at(s, block)->n_words == 2 ? 0 : refuse(s, block, "must have one name");

	tpg->object = xstrdup(object);
	if (rc < 0)
		return rc;
	if (config_text_target(iqn) || !is_on(s, block, "enabled")) {
		note_left_out(foreign->notes, object, "%s", config_text_target(iqn) ? config_text_target(iqn) : "it is not enabled");
		return 0;
	}
	tpg->iqn = xstrdup(iqn);
	for_each_in (s, block, i) {
		any_lun = any_lun || is(s, i, "LUN");
		if (is(s, i, "allowed_portal"))
			add_portal(tpg, scst_word(at(s, i), 1));
	}
	if (!tpg->n_portals)
		add_portal(tpg, "0.0.0.0");
	for_each_in (s, block, i) {
		if (rc == 0 && is(s, i, "GROUP"))
			rc = read_group(s, block, i, object);
	}
	if (rc < 0)
		return rc;
	if (any_lun)
		note_left_out(foreign->notes, object,
			      "it has LUNs for any initiator that is in no GROUP; with Lunward only hosts of the document have access: add "
			      "them and their mappings");
	if (value(s, block, "rel_tgt_id"))
		note_changed(foreign->notes, object, "rel_tgt_id is not taken over: hosts find the port under another number");
	note_attributes(s, block, object, known);
	return 0;
}

static int read_driver(struct source *s, size_t block)
{
	static const char *const known[] = { "TARGET", "enabled", NULL };
	const char *driver = scst_word(at(s, block), 1);
	_cleanup_free_ char *object = xasprintf("TARGET_DRIVER %s", driver);
	int rc = 0;

	if (strcmp(driver, "iscsi") != 0) {
		if (strcmp(driver, "copy_manager") != 0) /* SCST's own, for EXTENDED COPY */
			note_left_out(s->foreign->notes, object, "the document has iSCSI and iSER targets only");
		return 0;
	}
	for_each_in (s, block, i) {
		if (rc == 0 && is(s, i, "TARGET"))
			rc = read_target(s, i);
	}
	if (rc == 0)
		note_attributes(s, block, object, known);
	return rc;
}

static void note_device_group(struct source *s, size_t block)
{
	_cleanup_free_ char *object = xasprintf("DEVICE_GROUP %s", scst_word(at(s, block), 1));

	note_changed(s->foreign->notes, object, "its target groups are not taken over: Lunward makes one for each node, and sets its state");
}

static int read_statements(struct source *s)
{
	static const char *const known[] = { "HANDLER", "TARGET_DRIVER", "DEVICE_GROUP", NULL };
	int rc = 0;

	/* Devices first: what is exported may stand before them. */
	for_each_in (s, SIZE_MAX, i) {
		if (rc == 0 && is(s, i, "HANDLER"))
			rc = read_handler(s, i);
	}
	for_each_in (s, SIZE_MAX, i) {
		if (rc == 0 && is(s, i, "TARGET_DRIVER"))
			rc = read_driver(s, i);
		if (rc == 0 && is(s, i, "DEVICE_GROUP"))
			note_device_group(s, i);
	}
	if (rc == 0)
		note_attributes(s, SIZE_MAX, "SCST", known);
	return rc;
}

int foreign_read_scst(struct foreign *foreign, const char *text, size_t size, struct err *err)
{
	struct source s = { .foreign = foreign, .err = err };
	int rc = scst_text_parse(text, size, &s.text, err);

	if (rc < 0)
		return rc;
	rc = read_statements(&s);
	scst_text_done(&s.text);
	return rc;
}
