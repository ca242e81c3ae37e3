// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * saveconfig.json as rtslib writes it (RTSRoot.dump): storage_objects, targets with their portal groups, fabric_modules. What is not of
 * the form that rtslib writes is refused with its path; what is and has no word in the document becomes a note.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/exchange/foreign.h"
#include "target-config/model/config_json.h"

#define WWPN_SIZE 24 /* "20:00:52:54:00:12:34:56" and a NUL */
#define PORT_TARGET "imported" /* after the prefix: rtslib has a target for each port, the document one for ports that are alike */

struct source {
	struct foreign *foreign;
	struct reader r;
};

typedef int item_fn(struct source *s, json_t *item, void *ctx);

/* A refusal is an error whatever it says: for readers of this file alone, the analyzer is one. */
static int refused(int code)
{
	return code < 0 ? code : -EINVAL;
}

static bool is_missing(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return !value || json_is_null(value);
}

/* Calls fn for the objects of the array object[key], which may be missing. */
static int each(struct source *s, const json_t *object, const char *key, item_fn *fn, void *ctx)
{
	size_t key_mark = reader_enter_key(&s->r, key), i;
	json_t *array = json_object_get(object, key), *item;
	int rc = is_missing(object, key) ? 0 : reader_expect_array(&s->r, array, CONFIG_VOLUMES_MAX);

	if (rc != 0)
		return rc;
	json_array_foreach (array, i, item) {
		size_t mark = reader_enter_index(&s->r, i);

		rc = reader_expect_object(&s->r, item, SIZE_MAX);
		rc = rc ? rc : fn(s, item, ctx);
		if (rc < 0)
			return rc;
		reader_leave(&s->r, mark);
	}
	reader_leave(&s->r, key_mark);
	return 0;
}

/* NULL if missing. */
static int get_text(struct source *s, const json_t *object, const char *key, const char **ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = NULL;
	if (is_missing(object, key))
		return 0;
	if (!json_is_string(value))
		return refused(reader_refuse_key(&s->r, key, "must be a string"));
	*ret = json_string_value(value);
	return 0;
}

static int need_text(struct source *s, const json_t *object, const char *key, const char **ret)
{
	int rc = get_text(s, object, key, ret);

	if (rc == 0 && !*ret)
		return refused(reader_refuse_key(&s->r, key, "missing"));
	return rc;
}

static int get_bool(struct source *s, const json_t *object, const char *key, bool fallback, bool *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = fallback;
	if (is_missing(object, key))
		return 0;
	if (!json_is_boolean(value) && !json_is_integer(value))
		return refused(reader_refuse_key(&s->r, key, "must be true or false"));
	*ret = json_is_true(value) || json_integer_value(value) != 0;
	return 0;
}

static int need_number(struct source *s, const json_t *object, const char *key, uint32_t max, uint32_t *ret)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
		return refused(reader_refuse_key(&s->r, key, "must be an integer from 0 to %u", max));
	*ret = (uint32_t)json_integer_value(value);
	return 0;
}

/* An object of attributes or parameters; its values are numbers and strings. */
static int get_values(struct source *s, const json_t *object, const char *key, const json_t **ret)
{
	json_t *values = json_object_get(object, key), *value;
	const char *name;

	*ret = NULL;
	if (is_missing(object, key))
		return 0;
	if (!json_is_object(values))
		return refused(reader_refuse_key(&s->r, key, "must be an object"));
	json_object_foreach(values, name, value) {
		if (!json_is_integer(value) && !json_is_string(value))
			return refused(reader_refuse_key(&s->r, key, "must have numbers and strings as values"));
	}
	*ret = values;
	return 0;
}

/* -1: as if it were missing. */
static json_int_t value_of(const json_t *values, const char *name)
{
	const json_t *value = json_object_get(values, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void note_unknown(struct source *s, const char *object, const json_t *item, const char *const *known)
{
	const char *key;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)item, key, value) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i] && !json_is_null(value))
			note_changed(s->foreign->notes, object, "\"%s\" is not taken over: not known here", key);
	}
}

/* --- backstores ---*/

static int read_alua_group(struct source *s, json_t *item, void *ctx)
{
	const char *name;
	int rc = need_text(s, item, "name", &name);

	if (rc == 0 && strcmp(name, "default_tg_pt_gp") != 0)
		note_changed(s->foreign->notes, ctx, "its ALUA group \"%s\" is not taken over: Lunward makes one for each node", name);
	return rc;
}

static bool is_good_disk(struct source *s, const struct foreign_disk *disk, const char *plugin, bool readonly)
{
	struct exchange_notes *notes = s->foreign->notes;

	if (strcmp(plugin, "block") != 0)
		note_left_out(notes, disk->object,
			      "backstores of kind %s are not served by Lunward: copy it to a block device and serve that", plugin);
	else if (readonly)
		note_left_out(notes, disk->object, "it is read-only, and hosts could write it afterwards");
	else if (!disk->serial || config_text_serial(disk->serial))
		note_left_out(notes, disk->object, "its identity cannot be kept, \"wwn\": %s",
			      disk->serial ? config_text_serial(disk->serial) : "missing");
	else if (config_text_device(disk->device))
		note_left_out(notes, disk->object, "\"dev\": %s", config_text_device(disk->device));
	else if (disk->block_size != 512 && disk->block_size != 4096)
		note_left_out(notes, disk->object, "its block size is %u, Lunward serves 512 and 4096", disk->block_size);
	else
		return true;
	return false;
}

static int read_disk(struct source *s, json_t *item, void *ctx)
{
	static const char *const known[] = { "name", "plugin", "dev", "wwn", "readonly", "write_back", "attributes", "alua_tpgs", NULL };
	struct foreign *foreign = s->foreign;
	struct foreign_disk *disk = array_push(foreign->disks, foreign->n_disks, foreign->cap_disks);
	const char *name, *plugin, *device, *serial;
	bool readonly;
	int rc = need_text(s, item, "name", &name);

	(void)ctx;
	rc = rc ? rc : need_text(s, item, "plugin", &plugin);
	rc = rc ? rc : get_text(s, item, "dev", &device);
	rc = rc ? rc : get_text(s, item, "wwn", &serial);
	rc = rc ? rc : get_bool(s, item, "readonly", false, &readonly);
	rc = rc ? rc : get_values(s, item, "attributes", &disk->attributes);
	if (rc != 0)
		return rc;
	disk->object = xasprintf("/backstores/%s/%s", plugin, name);
	if (json_object_get(foreign->names, disk->object))
		return refused(reader_refuse(&s->r, -EINVAL, "%s is there twice", disk->object));
	json_object_set_new(foreign->names, disk->object, json_integer((json_int_t)foreign->n_disks - 1));
	disk->name = xstrdup(name);
	disk->device = xstrdup(device ? device : "");
	disk->serial = xstrdup(serial);
	disk->block_size = (uint32_t)MAX(value_of(disk->attributes, "block_size"), 0);
	if (value_of(disk->attributes, "block_size") < 0)
		disk->block_size = 512;
	disk->product_is_name = value_of(disk->attributes, "emulate_model_alias") == 1;
	disk->is_left_out = !is_good_disk(s, disk, plugin, readonly);
	if (disk->is_left_out)
		return 0;
	note_unknown(s, disk->object, item, known);
	return each(s, item, "alua_tpgs", read_alua_group, disk->object);
}

/* --- portal groups ---*/

struct tpg_lun { /* the TPG's own number of a backstore, which ACLs refer to */
	uint32_t index;
	size_t disk;
};

struct tpg_ctx {
	size_t tpg; /* index in foreign */
	const char *iqn;
	bool is_open; /* to initiators without an ACL */
	bool wants_chap;
	bool is_left_out;
	struct tpg_lun *luns;
	size_t n_luns, cap_luns;
	const char *port; /* its GID or WWPN, as the document writes it; NULL: iSCSI */
	enum config_fabric_id fabric;
};

static struct foreign_tpg *tpg_of(struct source *s, const struct tpg_ctx *ctx)
{
	return &s->foreign->tpgs[ctx->tpg];
}

static int read_lun(struct source *s, json_t *item, void *ctx)
{
	struct tpg_ctx *tpg = ctx;
	struct tpg_lun lun;
	const char *backstore;
	int rc = need_number(s, item, "index", 65535, &lun.index);

	rc = rc ? rc : need_text(s, item, "storage_object", &backstore);
	if (rc != 0)
		return rc;
	lun.disk = foreign_find_disk(s->foreign, backstore);
	if (lun.disk == FOREIGN_NONE)
		return refused(reader_refuse_key(&s->r, "storage_object", "there is no such backstore in storage_objects"));
	for (size_t i = 0; i < tpg->n_luns; i++) {
		if (tpg->luns[i].index == lun.index)
			return refused(reader_refuse_key(&s->r, "index", "LUN %u is there twice", lun.index));
	}
	*array_push(tpg->luns, tpg->n_luns, tpg->cap_luns) = lun;
	return 0;
}

static int read_portal(struct source *s, json_t *item, void *ctx)
{
	struct foreign_tpg *tpg = tpg_of(s, ctx);
	struct foreign_portal portal = { 0 };
	const char *address;
	uint32_t port = 0;
	bool offload = false;
	size_t len;
	int rc = need_text(s, item, "ip_address", &address);

	rc = rc ? rc : need_number(s, item, "port", UINT16_MAX, &port);
	rc = rc ? rc : get_bool(s, item, "iser", false, &portal.iser);
	rc = rc ? rc : get_bool(s, item, "offload", false, &offload);
	if (rc != 0)
		return rc;
	if (offload)
		note_changed(s->foreign->notes, tpg->object, "portal %s: its offload engine is not used any more", address);
	len = strlen(address);
	if (len > 2 && address[0] == '[' && address[len - 1] == ']')
		portal.address = xasprintf("%.*s", (int)len - 2, address + 1);
	else
		portal.address = xstrdup(address);
	portal.port = (uint16_t)port;
	*array_push(tpg->portals, tpg->n_portals, tpg->cap_portals) = portal;
	return 0;
}

struct acl_ctx {
	const struct tpg_ctx *tpg;
	struct foreign_acl *acl;
};

static int read_mapped_lun(struct source *s, json_t *item, void *ctx)
{
	static const char *const known[] = { "index", "tpg_lun", "write_protect", "alias", NULL };
	const struct acl_ctx *at = ctx;
	struct foreign_lun lun = { .disk = FOREIGN_NONE };
	uint32_t tpg_lun = 0;
	bool write_protect = false;
	int rc = need_number(s, item, "index", 65535, &lun.lun);

	rc = rc ? rc : need_number(s, item, "tpg_lun", 65535, &tpg_lun);
	rc = rc ? rc : get_bool(s, item, "write_protect", false, &write_protect);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < at->tpg->n_luns; i++) {
		if (at->tpg->luns[i].index == tpg_lun)
			lun.disk = at->tpg->luns[i].disk;
	}
	if (lun.disk == FOREIGN_NONE)
		return refused(reader_refuse_key(&s->r, "tpg_lun", "there is no LUN %u in luns", tpg_lun));
	lun.object = xasprintf("%s/lun %u", at->acl->object, lun.lun);
	note_unknown(s, lun.object, item, known);
	if (!write_protect) {
		*array_push(at->acl->luns, at->acl->n_luns, at->acl->cap_luns) = lun;
		return 0;
	}
	note_left_out(s->foreign->notes, lun.object, "it is write-protected for this host, which Lunward has no word for");
	free(lun.object);
	return 0;
}

struct credentials {
	const char *user, *password, *mutual_user, *mutual_password;
};

static int get_credentials(struct source *s, const json_t *item, const char *prefix, struct credentials *ret)
{
	const struct {
		const char *name, **ret;
	} texts[] = {
		{ "userid", &ret->user }, { "password", &ret->password }, { "mutual_userid", &ret->mutual_user },
		{ "mutual_password", &ret->mutual_password },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && rc == 0; i++) {
		_cleanup_free_ char *name = xasprintf("%s%s", prefix, texts[i].name);

		rc = get_text(s, item, name, texts[i].ret);
	}
	return rc;
}

static bool has_all(const char *user, const char *password)
{
	return user && *user && password && *password;
}

/* What is in force stays in force; false: then the ACL is left out. */
static bool take_credentials(struct source *s, struct foreign_acl *acl, const struct credentials *c, bool wants_chap)
{
	struct foreign *foreign = s->foreign;

	if (!wants_chap) {
		if (c->user || c->mutual_user)
			note_changed(foreign->notes, acl->object,
				     "its CHAP secrets are not taken over: authentication is off here, hosts log in without them; add "
				     "\"chap\" to the host to ask for them");
		return true;
	}
	if (!has_all(c->user, c->password)) {
		note_left_out(foreign->notes, acl->object,
			      "authentication is on, but it has no CHAP user and password: nobody can log in, and with Lunward anybody "
			      "who knows the name could");
		return false;
	}
	if (!foreign_take_chap(foreign, acl->object, c->user, c->password, &acl->chap))
		return false;
	if (!c->mutual_user && !c->mutual_password)
		return true;
	if (!has_all(c->mutual_user, c->mutual_password)) {
		note_changed(foreign->notes, acl->object, "its mutual CHAP has no user or no password, and is not taken over");
		return true;
	}
	if (strcmp(c->password, c->mutual_password) == 0) {
		note_left_out(foreign->notes, acl->object,
			      "CHAP and mutual CHAP have the same password; change one at the host and here, or add the host by hand");
		return false;
	}
	return foreign_take_chap(foreign, acl->object, c->mutual_user, c->mutual_password, &acl->mutual_chap);
}

/* "naa." and the digits of a WWPN */
static const char *read_naa(const char *naa, char ret_wwpn[WWPN_SIZE])
{
	if (strncmp(naa, "naa.", 4) != 0 || strlen(naa) != 20)
		return "not the WWPN of a port: naa. and 16 hex digits";
	for (size_t i = 0; i < 8; i++)
		snprintf(ret_wwpn + 3 * i, WWPN_SIZE - 3 * i, "%.2s%s", naa + 4 + 2 * i, i < 7 ? ":" : "");
	for (char *c = ret_wwpn; *c; c++)
		*c = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
	return config_text_wwpn(ret_wwpn);
}

/* As the document writes it; what is none is left as it is. */
static char *document_initiator(enum config_fabric_id fabric, const char *name)
{
	char wwpn[WWPN_SIZE];

	if (fabric == CONFIG_FABRIC_SRP && strncmp(name, "ib.", 3) == 0)
		return xasprintf("0x%s", name + 3);
	if ((fabric == CONFIG_FABRIC_FCOE || fabric == CONFIG_FABRIC_FC) && !read_naa(name, wwpn))
		return xstrdup(wwpn);
	return xstrdup(name);
}

static int read_acl(struct source *s, json_t *item, void *ctx)
{
	static const char *const known[] = { "node_wwn", "tag", "mapped_luns", "attributes", "chap_userid", "chap_password",
					     "chap_mutual_userid", "chap_mutual_password", NULL };
	const struct tpg_ctx *tpg = ctx;
	struct foreign *foreign = s->foreign;
	struct foreign_acl *acl = array_push(foreign->acls, foreign->n_acls, foreign->cap_acls);
	struct acl_ctx at = { tpg, acl };
	struct credentials credentials = { 0 };
	const char *initiator, *name, *wrong;
	json_int_t authentication;
	int rc = need_text(s, item, "node_wwn", &initiator);

	acl->tpg = tpg->tpg;
	rc = rc ? rc : get_text(s, item, "tag", &name);
	rc = rc ? rc : get_values(s, item, "attributes", &acl->attributes);
	rc = rc ? rc : get_credentials(s, item, "chap_", &credentials);
	if (rc != 0)
		return rc;
	if (strcmp(initiator, CONFIG_HEALTH_INITIATOR) == 0) /* an agent's own: no host has lost anything */
		return 0;
	acl->object = xasprintf("%s/acls/%s", tpg_of(s, tpg)->object, initiator);
	acl->initiator = document_initiator(tpg->fabric, initiator);
	acl->name = xstrdup(name);
	if (tpg->port)
		acl->attributes = NULL;
	note_unknown(s, acl->object, item, known);
	rc = each(s, item, "mapped_luns", read_mapped_lun, &at);
	if (rc != 0)
		return rc;
	authentication = value_of(acl->attributes, "authentication");
	wrong = config_fabric(tpg->fabric)->check_initiator(acl->initiator);
	if (tpg->fabric == CONFIG_FABRIC_SRP && !wrong && strncmp(acl->initiator, "0x", 2) != 0)
		wrong = "the target knows hosts by their port ids";
	if (wrong)
		note_left_out(foreign->notes, acl->object, "%s", wrong);
	else if (take_credentials(s, acl, &credentials, authentication < 0 ? tpg->wants_chap : authentication > 0))
		return 0;
	free(acl->initiator); /* left out */
	acl->initiator = NULL;
	return 0;
}

static void note_open(struct source *s, const struct tpg_ctx *ctx)
{
	if (ctx->is_open && ctx->n_luns)
		note_left_out(s->foreign->notes, tpg_of(s, ctx)->object,
			      "any initiator may log in and has all LUNs (generate_node_acls); with Lunward only hosts of the document "
			      "have access: add them and their mappings");
}

static int fill_tpg(struct source *s, json_t *item, struct tpg_ctx *ctx)
{
	static const char *const known[] = { "tag", "enable", "luns", "portals", "node_acls", "attributes", "parameters",
					     "chap_userid", "chap_password", "chap_mutual_userid", "chap_mutual_password", NULL };
	const char *object = tpg_of(s, ctx)->object;
	struct credentials credentials = { 0 };
	int rc = each(s, item, "luns", read_lun, ctx);

	rc = rc ? rc : get_credentials(s, item, "chap_", &credentials);
	rc = rc ? rc : each(s, item, "portals", read_portal, ctx);
	rc = rc ? rc : each(s, item, "node_acls", read_acl, ctx);
	if (rc != 0)
		return rc;
	if (credentials.user || credentials.mutual_user)
		note_changed(s->foreign->notes, object,
			     "the CHAP secrets of the portal group, for initiators without an ACL, are not taken over");
	note_unknown(s, object, item, known);
	note_open(s, ctx);
	return 0;
}

static int read_tpg(struct source *s, json_t *item, void *ctx)
{
	struct tpg_ctx *at = ctx;
	struct foreign_tpg *tpg = array_push(s->foreign->tpgs, s->foreign->n_tpgs, s->foreign->cap_tpgs);
	bool enabled = true;
	int rc = need_number(s, item, "tag", 65535, &tpg->tag);

	at->tpg = s->foreign->n_tpgs - 1;
	rc = rc ? rc : get_bool(s, item, "enable", true, &enabled);
	rc = rc ? rc : get_values(s, item, "attributes", &tpg->attributes);
	rc = rc ? rc : get_values(s, item, "parameters", &tpg->parameters);
	if (rc != 0)
		return rc;
	tpg->iqn = at->port ? xasprintf("%s" PORT_TARGET, config_fabric(at->fabric)->prefix) : xstrdup(at->iqn);
	tpg->object = xasprintf("/%s/%s/tpg%u", foreign_fabric(at->fabric), at->iqn, tpg->tag);
	at->is_open = at->fabric != CONFIG_FABRIC_SRP && value_of(tpg->attributes, "generate_node_acls") == 1;
	if (at->port) { /* its tag, attributes and parameters are its driver's own */
		tpg->tag = 0;
		tpg->attributes = tpg->parameters = NULL;
		*array_push(tpg->portals, tpg->n_portals, tpg->cap_portals) = (struct foreign_portal){ .address = xstrdup(at->port) };
	}
	if (!enabled) {
		note_left_out(s->foreign->notes, tpg->object, "it is disabled");
		free(tpg->iqn);
		tpg->iqn = NULL;
		return 0;
	}
	at->wants_chap = value_of(tpg->attributes, "authentication") == 1;
	rc = fill_tpg(s, item, at);
	free(at->luns);
	at->luns = NULL;
	at->n_luns = at->cap_luns = 0;
	return rc;
}

/* "ib." and the digits of a GID */
static const char *read_ib_wwn(const char *wwn, char ret_gid[CONFIG_GID_SIZE])
{
	const char *digits = wwn + strlen("ib.");
	char text[CONFIG_GID_SIZE] = "";

	if (strncmp(wwn, "ib.", 3) != 0 || strlen(digits) != 32)
		return "not the GID of a port: ib. and 32 hex digits";
	for (size_t i = 0; i < 8; i++)
		snprintf(text + 5 * i, sizeof(text) - 5 * i, "%.4s%s", digits + 4 * i, i < 7 ? ":" : "");
	return config_text_gid(text, ret_gid);
}

/* CONFIG_FABRICS: none that the document has. */
static enum config_fabric_id fabric_of(const char *name)
{
	enum config_fabric_id id = CONFIG_FABRIC_ISCSI;

	while (id < CONFIG_FABRICS && strcmp(foreign_fabric(id), name) != 0)
		id++;
	return id;
}

/* Of iSCSI's one: on which processors commands are completed, as text, of which "-1" is the kernel's own choice. */
static int note_parameters(struct source *s, const json_t *item, const char *object)
{
	const json_t *parameters, *value;
	const char *name;
	int rc = get_values(s, item, "parameters", &parameters);

	if (rc != 0 || !parameters)
		return rc;
	json_object_foreach((json_t *)(uintptr_t)parameters, name, value) {
		const char *text = json_string_value(value);

		if (strcmp(name, "cmd_completion_affinity") != 0 || !text || strcmp(text, "-1") != 0)
			note_changed(s->foreign->notes, object, "%s is not taken over: Lunward has no such setting", name);
	}
	return 0;
}

static int read_target(struct source *s, json_t *item, void *ctx)
{
	static const char *const known[] = { "wwn", "fabric", "tpgs", "parameters", NULL };
	_cleanup_free_ char *object = NULL;
	struct tpg_ctx at = { 0 };
	char port[CONFIG_GID_SIZE];
	const char *fabric, *wrong;
	int rc = need_text(s, item, "wwn", &at.iqn);

	(void)ctx;
	rc = rc ? rc : need_text(s, item, "fabric", &fabric);
	if (rc != 0)
		return rc;
	object = xasprintf("/%s/%s", fabric, at.iqn);
	note_unknown(s, object, item, known);
	rc = note_parameters(s, item, object);
	if (rc != 0)
		return rc;
	at.fabric = fabric_of(fabric);
	if (at.fabric == CONFIG_FABRICS) {
		note_left_out(s->foreign->notes, object, "the document has targets of iSCSI, iSER, SRP, FCoE (tcm_fc) and Fibre Channel (qla2xxx) only");
		return 0;
	}
	if (at.fabric == CONFIG_FABRIC_ISCSI)
		wrong = config_text_target(at.iqn);
	else
		wrong = at.fabric == CONFIG_FABRIC_SRP ? read_ib_wwn(at.iqn, port) : read_naa(at.iqn, port);
	at.port = at.fabric == CONFIG_FABRIC_ISCSI ? NULL : port;
	if (wrong) {
		note_left_out(s->foreign->notes, object, "%s", wrong);
		return 0;
	}
	rc = each(s, item, "tpgs", read_tpg, &at);
	free(at.luns);
	return rc;
}

static bool is_taken(const char *user, const char *password)
{
	return has_all(user, password) && !config_text_chap_user(user) && !config_text_chap_password(password);
}

/* All of it or nothing. */
static void take_discovery(struct foreign *foreign, const struct credentials *c)
{
	struct config_discovery *discovery = &foreign->discovery;
	bool is_mutual = c->mutual_user && *c->mutual_user;

	if (!is_taken(c->user, c->password) ||
	    (is_mutual && (!is_taken(c->mutual_user, c->mutual_password) || strcmp(c->password, c->mutual_password) == 0))) {
		note_changed(foreign->notes, "/iscsi", "discovery asks for CHAP, with names or passwords that Lunward does not take: add "
			     "\"discovery\" with others, or it asks for nothing");
		return;
	}
	discovery->is_said = true;
	discovery->chap = (struct config_chap){ xstrdup(c->user), xstrdup(c->password) };
	if (is_mutual)
		discovery->mutual_chap = (struct config_chap){ xstrdup(c->mutual_user), xstrdup(c->mutual_password) };
}

static int read_fabric(struct source *s, json_t *item, void *ctx)
{
	struct credentials credentials = { 0 };
	const char *name;
	bool enabled = false;
	int rc = need_text(s, item, "name", &name);

	(void)ctx;
	rc = rc ? rc : get_bool(s, item, "discovery_enable_auth", false, &enabled);
	rc = rc ? rc : get_credentials(s, item, "discovery_", &credentials);
	if (rc == 0 && enabled && strcmp(name, "iscsi") == 0)
		take_discovery(s->foreign, &credentials);
	return rc;
}

int foreign_read_saveconfig(struct foreign *foreign, const char *text, size_t size, struct err *err)
{
	static const char *const known[] = { "storage_objects", "targets", "fabric_modules", NULL };
	struct source s = { .foreign = foreign, .r = { .err = err } };
	int rc;

	foreign->root = reader_load(text, size, err);
	if (!foreign->root)
		return -EINVAL;
	rc = reader_expect_object(&s.r, foreign->root, SIZE_MAX);
	if (rc == 0)
		note_unknown(&s, "the file", foreign->root, known);
	rc = rc ? rc : each(&s, foreign->root, "fabric_modules", read_fabric, NULL);
	rc = rc ? rc : each(&s, foreign->root, "storage_objects", read_disk, NULL);
	rc = rc ? rc : each(&s, foreign->root, "targets", read_target, NULL);
	strbuf_done(&s.r.path);
	return rc;
}
