// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attributes and parameters of LIO in a saveconfig.json: a note for each object where somebody chose a value that Lunward does not have.
 * What the file has as the kernel makes it (Linux 6.1: target_core_device.c, iscsi_target_tpg.c, iscsi_target_parameters.c) nobody chose.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/xalloc.h"
#include "target-config/exchange/foreign.h"
#include "target-config/exchange/settings.h"

struct fallback {
	const char *name, *value; /* the kernel's; NULL: the device's own, or taken over otherwise */
};

static const struct fallback of_volumes[] = {
	{ "block_size", NULL }, { "emulate_model_alias", NULL }, { "queue_depth", NULL }, { "hw_queue_depth", NULL },
	{ "hw_block_size", NULL }, { "hw_max_sectors", NULL }, { "hw_pi_prot_type", NULL }, { "fabric_max_sectors", NULL },
	{ "optimal_sectors", NULL }, { "max_write_same_len", NULL }, { "max_unmap_lba_count", NULL },
	{ "max_unmap_block_desc_count", NULL }, { "unmap_granularity", NULL }, { "unmap_granularity_alignment", NULL },
	{ "is_nonrot", NULL }, { "pi_prot_format", NULL }, { "emulate_rsoc", "1" }, { "emulate_3pc", "1" }, { "force_pr_aptpl", "0" },
	{ "alua_support", "1" }, { "pgr_support", "1" }, { "emulate_dpo", "1" }, { "emulate_fua_read", "1" },
	{ "emulate_write_cache", "0" }, { "pi_prot_type", "0" }, { "pi_prot_verify", "0" }, { "submit_type", "0" },
	{ "complete_type", "0" }, { NULL, NULL },
};

static const struct fallback of_tpgs[] = {
	{ "authentication", NULL }, { "generate_node_acls", NULL }, { "default_cmdsn_depth", "64" }, { "demo_mode_discovery", "1" },
	{ "default_erl", "0" }, { "fabric_prot_type", "0" }, { "login_keys_workaround", "1" }, { "netif_timeout", "2" }, { "t10_pi", "0" },
	{ NULL, NULL },
};

static const struct fallback of_parameters[] = {
	{ "TargetAlias", NULL }, { "AuthMethod", NULL }, { "DataPDUInOrder", "Yes" }, { "DataSequenceInOrder", "Yes" },
	{ "IFMarkInt", "Reject" }, { "IFMarker", "No" }, { "OFMarkInt", "Reject" }, { "OFMarker", "No" }, { NULL, NULL },
};

static const struct fallback of_acls[] = {
	{ "authentication", NULL }, { "default_erl", "0" }, { "random_datain_pdu_offsets", "0" }, { "random_datain_seq_offsets", "0" },
	{ "random_r2t_offsets", "0" }, { NULL, NULL },
};

/* What Lunward will have, where that is not what somebody chose; else NULL. */
static const char *find_change(const json_t *set, const struct fallback *fallbacks, const char *name, const char *was)
{
	const json_t *value = json_object_get(set, name);
	const struct config_parameter *parameter = config_parameter_by_name(name);
	const char *after = value ? json_string_value(value) : "unknown", *fallback;

	while (fallbacks->name && strcmp(fallbacks->name, name) != 0)
		fallbacks++;
	fallback = parameter ? parameter->fallback : fallbacks->value;
	if ((parameter || fallbacks->name) && (!fallback || strcmp(fallback, was) == 0))
		return NULL;
	if (fallback && !value)
		after = fallback;
	return !after || strcmp(after, was) == 0 ? NULL : after;
}

static void compare(const struct foreign *foreign, const char *object, const json_t *was, const json_t *set,
		    const struct fallback *fallbacks)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)was, name, value) {
		char number[24];
		const char *before = foreign_value_text(value, number), *after = find_change(set, fallbacks, name, before);

		if (after && text.len < 350)
			strbuf_addf(&text, "%s%.64s %.32s (with Lunward %.32s)", text.len ? ", " : "", name, before, after);
	}
	if (text.len)
		note_changed(foreign->notes, object, "not kept: %s", text.s);
}

static void compare_tpg(const struct foreign *foreign, const struct foreign_tpg *tpg, const struct settings *settings, uint32_t nodeid)
{
	_cleanup_free_ char *attrib = xasprintf("iscsi/%s/tpgt_%u/attrib", tpg->iqn, nodeid);
	_cleanup_free_ char *param = xasprintf("iscsi/%s/tpgt_%u/param", tpg->iqn, nodeid);

	compare(foreign, tpg->object, tpg->attributes, json_object_get(settings->others, attrib), of_tpgs);
	compare(foreign, tpg->object, tpg->parameters, json_object_get(settings->others, param), of_parameters);
}

static void compare_acl(const struct foreign *foreign, const struct foreign_acl *acl, const struct settings *settings, uint32_t nodeid)
{
	const char *iqn = foreign->tpgs[acl->tpg].iqn;
	_cleanup_free_ char *attrib = xasprintf("iscsi/%s/tpgt_%u/acls/%s/attrib", iqn ?: "", nodeid, acl->initiator);

	compare(foreign, acl->object, acl->attributes, json_object_get(settings->others, attrib), of_acls);
}

void foreign_compare(const struct foreign *foreign, const struct config *config, uint32_t nodeid)
{
	struct settings settings;

	settings_collect(config, nodeid, &settings);
	for (size_t i = 0; i < foreign->n_disks; i++) {
		const struct foreign_disk *disk = &foreign->disks[i];

		if (disk->volume)
			compare(foreign, disk->object, disk->attributes, json_object_get(settings.volumes, disk->volume), of_volumes);
	}
	for (size_t i = 0; i < foreign->n_tpgs; i++) {
		if (foreign->tpgs[i].iqn)
			compare_tpg(foreign, &foreign->tpgs[i], &settings, nodeid);
	}
	for (size_t i = 0; i < foreign->n_acls; i++) {
		if (foreign->acls[i].initiator)
			compare_acl(foreign, &foreign->acls[i], &settings, nodeid);
	}
	settings_done(&settings);
}
