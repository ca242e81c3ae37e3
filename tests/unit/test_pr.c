// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reservation tables: LIO's text in and out, and random streams of commands, where two kernels behave like the model of the
 * standard (pr_model.h) and pr_merge() keeps the cluster's table beside it. PR_SEED=<n> tells one story again.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/pr/pr.h"
#include "tests/unit/pr_model.h"

/* As core_scsi3_update_aptpl_buf() prints it: the holder second, out of our order, the type padded. */
#define REGISTRATION_B                                                                                                 \
	"initiator_fabric=iSCSI\ninitiator_node=iqn.2026-01.example:b\ninitiator_sid=00023d010000\n"                   \
	"sa_res_key=18446744073709551615\nres_holder=0\nres_all_tg_pt=0\nmapped_lun=3\ntarget_fabric=iSCSI\n"          \
	"target_node=iqn.2026-01.example:t\ntpgt=2\nport_rtpi=2\ntarget_lun=17\n"
#define REGISTRATION_A                                                                                                 \
	"initiator_fabric=iSCSI\ninitiator_node=iqn.2026-01.example:a\ninitiator_sid=00023d020000\n"                   \
	"sa_res_key=11\nres_holder=1\nres_type=08\nres_scope=00\nres_all_tg_pt=1\nmapped_lun=0\ntarget_fabric=iSCSI\n" \
	"target_node=iqn.2026-01.example:t\ntpgt=1\nport_rtpi=1\ntarget_lun=17\n"
#define BLOCK(n, text) "PR_REG_START: " n "\n" text "PR_REG_END: " n "\n"

static const char two[] = BLOCK("0", REGISTRATION_B) BLOCK("1", REGISTRATION_A);

static struct pr_table parse(const char *text)
{
	struct pr_table table = { 0 };
	struct err err = ERR_INIT;

	if (pr_table_parse(text, strlen(text) + 1, &table, &err) < 0)
		fail_msg("%s in:\n%s", err.text, text);
	return table;
}

static int parse_fails(const char *text, size_t size)
{
	struct pr_table table = { 0 };
	struct err err = ERR_INIT;
	int rc = pr_table_parse(text, size, &table, &err);

	assert_true(rc < 0 && err.code == rc && err.text[0] && !table.registrations);
	return rc;
}

static void lio_text_is_read(void **unused)
{
	_cleanup_pr_table_ struct pr_table table = parse(two);
	const struct pr_registration *a = &table.registrations[0], *b = &table.registrations[1];

	(void)unused;
	assert_int_equal(table.n, 2);
	assert_int_equal(table.type, PR_TYPE_EXCLUSIVE_ACCESS_ALL);
	assert_ptr_equal(pr_table_holder(&table), a);
	assert_string_equal(a->initiator, "iqn.2026-01.example:a");
	assert_string_equal(a->isid, "00023d020000");
	assert_string_equal(a->target, "iqn.2026-01.example:t");
	assert_true(a->key == 11 && a->all_tg_pt && a->tpgt == 1 && a->rtpi == 1 && a->target_lun == 17 && a->mapped_lun == 0);
	assert_true(b->key == UINT64_MAX && !b->holder && !b->all_tg_pt && b->tpgt == 2 && b->mapped_lun == 3);
}

static void printed_text_is_sorted_and_stable(void **unused)
{
	_cleanup_pr_table_ struct pr_table table = parse(two), again = { 0 };
	_cleanup_strbuf_ struct strbuf once = { 0 }, twice = { 0 };

	(void)unused;
	pr_table_print(&table, &once);
	assert_string_equal(strbuf_str(&once), BLOCK("0", REGISTRATION_A) BLOCK("1", REGISTRATION_B));
	again = parse(strbuf_str(&once));
	assert_true(pr_table_equal(&table, &again));
	pr_table_print(&again, &twice);
	assert_string_equal(strbuf_str(&once), strbuf_str(&twice));
}

static void an_empty_table_has_two_forms(void **unused)
{
	_cleanup_pr_table_ struct pr_table a = parse("No Registrations or Reservations");
	_cleanup_pr_table_ struct pr_table b = parse("No Registrations or Reservations\n");
	_cleanup_strbuf_ struct strbuf text = { 0 };

	(void)unused;
	assert_true(a.n == 0 && b.n == 0 && pr_table_equal(&a, &b));
	pr_table_print(&a, &text);
	assert_string_equal(strbuf_str(&text), "No Registrations or Reservations");
}

/* LIO reads res_type in C's notation: "08" would be no number and the holder refused. */
static void load_text_has_no_octal_type(void **unused)
{
	_cleanup_pr_table_ struct pr_table table = parse(two);
	_cleanup_strbuf_ struct strbuf text = { 0 };

	(void)unused;
	pr_registration_load(&table, &table.registrations[0], &text);
	assert_string_equal(strbuf_str(&text),
			    "initiator_fabric=iSCSI\ninitiator_node=iqn.2026-01.example:a\ninitiator_sid=00023d020000\n"
			    "sa_res_key=11\nres_holder=1\nres_type=8\nres_scope=0\nres_all_tg_pt=1\nmapped_lun=0\n"
			    "target_fabric=iSCSI\ntarget_node=iqn.2026-01.example:t\ntpgt=1\ntarget_lun=17");
}

static const char *replace(const char *text, const char *from, const char *to)
{
	static char changed[4096];
	const char *at = strstr(text, from);

	assert_non_null(at);
	snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return changed;
}

static void what_lio_does_not_write_is_refused(void **unused)
{
	static const char one[] = BLOCK("0", REGISTRATION_A);
	static const struct {
		const char *from, *to;
	} faults[] = {
		{ "PR_REG_START: 0", "PR_REG_START: 1" },
		{ "PR_REG_END: 0", "PR_REG_END: 1" },
		{ "PR_REG_END: 0\n", "PR_REG_END: 0" },
		{ "PR_REG_END: 0\n", "" },
		{ "PR_REG_END: 0\n", "PR_REG_END: 0\n\n" },
		{ "initiator_fabric=iSCSI\n", "" },
		{ "initiator_node=iqn.2026-01.example:a", "initiator_node=" },
		{ "initiator_node=iqn.2026-01.example:a", "initiator_node=a b" },
		{ "initiator_node=iqn.2026-01.example:a", "initiator_node=a,res_holder=1" },
		{ "initiator_node=iqn.2026-01.example:a", "initiator_node=a\033[2J" },
		{ "00023d020000", "00023d02000" },
		{ "00023d020000", "00023D020000" },
		{ "sa_res_key=11", "sa_res_key=0" },
		{ "sa_res_key=11", "sa_res_key=-1" },
		{ "sa_res_key=11", "sa_res_key=011" },
		{ "sa_res_key=11", "sa_res_key=18446744073709551616" },
		{ "sa_res_key=11", "sa_res_key=99999999999999999999" },
		{ "res_holder=1", "res_holder=2" },
		{ "res_holder=1", "res_holder=0" },
		{ "res_type=08", "res_type=02" },
		{ "res_type=08", "res_type=09" },
		{ "res_type=08", "res_type=00" },
		{ "res_scope=00", "res_scope=02" },
		{ "tpgt=1", "tpgt=65536" },
		{ "target_lun=17", "target_lun=x" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		const char *text = replace(one, faults[i].from, faults[i].to);
		struct pr_table taken = { 0 };

		if (pr_table_parse(text, strlen(text) + 1, &taken, NULL) == 0)
			fail_msg("taken: %s for %s", faults[i].to, faults[i].from);
	}
	parse_fails(BLOCK("0", REGISTRATION_A) BLOCK("1", REGISTRATION_A), strlen(one) * 2 + 1); /* two holders */
	parse_fails(BLOCK("0", REGISTRATION_B) BLOCK("1", REGISTRATION_B), strlen(BLOCK("0", REGISTRATION_B)) * 2 + 1); /* a path twice */
	parse_fails("No Registrations or Reservations\n\n", 35);
	parse_fails("", 1);
	parse_fails("", 0);
}

/* A power cut or a write in pieces: a text is whole or it is none. */
static void a_cut_text_is_refused(void **unused)
{
	(void)unused;
	for (size_t size = 0; size < sizeof(two); size++) {
		_cleanup_free_ char *cut = xmemdup(two, size ? size : 1);

		parse_fails(cut, size);
		if (size && size - 1 != strlen(BLOCK("0", REGISTRATION_B))) { /* one whole registration is a text */
			cut[size - 1] = '\0';
			parse_fails(cut, size);
		}
	}
}

static void bounds_hold(void **unused)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	_cleanup_free_ char *large = xcalloc(1, PR_TEXT_MAX + 2);
	char name[PR_NAME_SIZE + 1];

	(void)unused;
	memset(large, 'x', PR_TEXT_MAX + 1);
	assert_int_equal(parse_fails(large, PR_TEXT_MAX + 2), -E2BIG);
	memset(name, 'n', PR_NAME_SIZE);
	name[PR_NAME_SIZE] = '\0';
	parse_fails(replace(BLOCK("0", REGISTRATION_A), "iqn.2026-01.example:a", name), strlen(name) - 21 + sizeof(BLOCK("0", REGISTRATION_A)));
	for (unsigned int i = 0; i <= PR_REGISTRATIONS_MAX; i++)
		strbuf_addf(&text, "PR_REG_START: %u\ninitiator_fabric=f\ninitiator_node=%u\nsa_res_key=1\nres_holder=0\nres_all_tg_pt=0\n"
			    "mapped_lun=0\ntarget_fabric=f\ntarget_node=t\ntpgt=1\nport_rtpi=1\ntarget_lun=0\nPR_REG_END: %u\n", i, i, i);
	assert_true(text.len < PR_TEXT_MAX);
	assert_int_equal(parse_fails(text.s, text.len + 1), -E2BIG);
}

/* Whose RELEASE does something. */
static void a_reservation_is_held_through_ports(void **unused)
{
	_cleanup_pr_table_ struct pr_table table = parse(two), none = { 0 };

	(void)unused;
	assert_int_equal(table.n, 2);
	for (size_t i = 0; i < table.n; i++)
		table.registrations[i].tpgt = table.registrations[i].holder ? 1 : 2;
	for (int all = 0; all <= 1; all++) {
		table.type = all ? PR_TYPE_WRITE_EXCLUSIVE_ALL : PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS;
		assert_true(pr_table_holds_through(&table, 1));
		assert_int_equal(pr_table_holds_through(&table, 2), all);
		assert_false(pr_table_holds_through(&table, 3));
	}
	assert_false(pr_table_holds_through(&none, 1));
	table.type = PR_TYPE_NONE;
	assert_false(pr_table_holds_through(&table, 1));
}

static void the_kernels_listing_is_compared(void **unused)
{
	static const char listing[] =
		"SPC-3 PR Registrations:\n"
		"iSCSI Node: iqn.2026-01.example:b,i,0x00023d010000 Key: 0xffffffffffffffff PRgen: 0x00000001\n"
		"iSCSI Node: iqn.2026-01.example:a,i,0x00023d020000 Key: 0x000000000000000b PRgen: 0x00000002\n";
	_cleanup_pr_table_ struct pr_table table = parse(two), one = parse(BLOCK("0", REGISTRATION_A)), none = { 0 };

	(void)unused;
	assert_true(pr_table_is_listed(&table, listing));
	assert_false(pr_table_is_listed(&one, listing));
	assert_false(pr_table_is_listed(&none, listing));
	assert_true(pr_table_is_listed(&none, "SPC-3 PR Registrations:\nNone\n"));
	assert_false(pr_table_is_listed(&one, "SPC-3 PR Registrations:\nNone\n"));
	assert_false(pr_table_is_listed(&one, ""));
	table.registrations[0].key++;
	assert_false(pr_table_is_listed(&table, listing));
}

static void the_kernels_reservation_is_compared(void **unused)
{
	static const char holder[] = "SPC-3 Reservation: iSCSI Initiator: iqn.2026-01.example:a,i,0x00023d020000\n";
	static const char type[] = "SPC-3 Reservation Type: Exclusive Access, All Registrants\n", none[] = "No SPC-3 Reservation holder\n";
	_cleanup_pr_table_ struct pr_table table = parse(two), nobody = { 0 };

	(void)unused;
	assert_int_equal(table.type, PR_TYPE_EXCLUSIVE_ACCESS_ALL);
	assert_true(pr_table_is_held(&table, holder, type));
	assert_false(pr_table_is_held(&table, none, none));
	assert_false(pr_table_is_held(&table, holder, "SPC-3 Reservation Type: Exclusive Access\n"));
	assert_false(pr_table_is_held(&table, "SPC-3 Reservation: iSCSI Initiator: iqn.2026-01.example:a,i,0x00023d030000\n", type));
	assert_false(pr_table_is_held(&table, "SPC-2 Reservation: iSCSI Initiator: iqn.2026-01.example:a\n", type));
	assert_false(pr_table_is_held(&nobody, holder, type));
	assert_true(pr_table_is_held(&nobody, none, none));
	assert_false(pr_table_is_held(&nobody, "SPC_RESERVATIONS_DISABLED\n", "SPC_RESERVATIONS_DISABLED\n"));
	table.type = PR_TYPE_WRITE_EXCLUSIVE; /* as seen on 6.1: Write Exclusive Access, Registrants Only for type 5 */
	assert_true(pr_table_is_held(&table, holder, "SPC-3 Reservation Type: Write Exclusive Access\n"));
	table.type = PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS;
	assert_true(pr_table_is_held(&table, holder, "SPC-3 Reservation Type: Write Exclusive Access, Registrants Only\n"));
}

static void a_state_on_the_way_to_the_listed_one_is_known(void **unused)
{
	static const char both[] =
		"SPC-3 PR Registrations:\n"
		"iSCSI Node: iqn.2026-01.example:b,i,0x00023d010000 Key: 0xffffffffffffffff PRgen: 0x00000001\n"
		"iSCSI Node: iqn.2026-01.example:a,i,0x00023d020000 Key: 0x000000000000000b PRgen: 0x00000002\n";
	static const char last[] =
		"SPC-3 PR Registrations:\n"
		"iSCSI Node: iqn.2026-01.example:b,i,0x00023d010000 Key: 0xffffffffffffffff PRgen: 0x00000001\n";
	_cleanup_pr_table_ struct pr_table table = parse(two), none = { 0 }, first = { 0 }, twice = { 0 };

	(void)unused;
	pr_table_copy(&table, &first); /* what the first of two hosts left the kernel with */
	first.n = 1;
	first.type = PR_TYPE_NONE;
	first.registrations[0].holder = false;
	assert_true(pr_table_is_on_the_way(&none, &first, both));
	assert_false(pr_table_is_on_the_way(&first, &none, both));  /* it is not known whether it was gone before or has gone since */
	assert_false(pr_table_is_on_the_way(&first, &first, both)); /* it would be the older of two that say the same */
	assert_int_equal(first.registrations[0].key, 0xb);
	assert_false(pr_table_is_on_the_way(&none, &first, last));
	first.registrations[0].key++;
	assert_false(pr_table_is_on_the_way(&none, &first, both)); /* older than what is there now */
	first.registrations[0].key--;
	first.type = PR_TYPE_WRITE_EXCLUSIVE;
	first.registrations[0].holder = true;
	assert_false(pr_table_is_on_the_way(&none, &first, both)); /* the listing does not tell about reservations */
	first.type = PR_TYPE_NONE;
	first.registrations[0].holder = false;
	pr_table_copy(&first, &twice); /* two ports of one session give one line */
	twice.registrations = xreallocarray(twice.registrations, 2, sizeof(*twice.registrations));
	twice.registrations[1] = twice.registrations[0];
	twice.registrations[1].tpgt = 99;
	twice.n = twice.cap = 2;
	assert_false(pr_table_is_on_the_way(&first, &twice, both));
}

static void changes_are_described(void **unused)
{
	_cleanup_pr_table_ struct pr_table before = parse(BLOCK("0", REGISTRATION_A)), after = parse(BLOCK("0", REGISTRATION_B));
	_cleanup_strbuf_ struct strbuf text = { 0 };

	(void)unused;
	pr_table_describe(&before, &before, &text);
	assert_string_equal(strbuf_str(&text), "");
	pr_table_describe(&before, &after, &text);
	assert_string_equal(strbuf_str(&text),
			    "unregistered iqn.2026-01.example:a isid 00023d020000 to port 1 of iqn.2026-01.example:t, key 0xb\n"
			    "registered iqn.2026-01.example:b isid 00023d010000 to port 2 of iqn.2026-01.example:t, key 0xffffffffffffffff\n"
			    "released (exclusive access, all registrants)\n");
}

/* --- random streams ----------------------------------------------------------------------------------------------------*/

/* Nexus i: initiator i / 2 through the port of node i % 2 + 1. */
static unsigned int node_of(unsigned int nexus)
{
	return nexus % 2 + 1;
}

static unsigned int nexus_of(const struct pr_registration *r)
{
	return (unsigned int)strtoul(r->initiator + strlen("iqn.h"), NULL, 10) * 2 + (r->tpgt - 1u);
}

static uint64_t random_state;

static unsigned int pick(unsigned int n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned int)((random_state >> 20) % n);
}

/* What LIO would write, by a printer of its own. */
static struct pr_table lio_state(const struct model *model)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	unsigned int n = 0;

	for (unsigned int i = MODEL_NEXUSES; i-- > 0;) {
		if (!model->keys[i])
			continue;
		strbuf_addf(&text, "PR_REG_START: %u\ninitiator_fabric=iSCSI\ninitiator_node=iqn.h%u\ninitiator_sid=00023d%02x0000\n"
			    "sa_res_key=%" PRIu64 "\n", n, i / 2, i, model->keys[i]);
		if (model->type && model->holder == i)
			strbuf_addf(&text, "res_holder=1\nres_type=%02x\nres_scope=%02x\n", model->type, 0);
		else
			strbuf_addf(&text, "res_holder=0\n");
		strbuf_addf(&text, "res_all_tg_pt=0\nmapped_lun=%u\ntarget_fabric=iSCSI\ntarget_node=iqn.t\ntpgt=%u\nport_rtpi=%u\n"
			    "target_lun=4\nPR_REG_END: %u\n", i / 2, node_of(i), node_of(i), n);
		n++;
	}
	if (!n)
		strbuf_add(&text, pick(2) ? "No Registrations or Reservations\n" : "No Registrations or Reservations");
	return parse(strbuf_str(&text));
}

static unsigned int random_type(void)
{
	static const unsigned int types[] = { 1, 3, 5, 6, 7, 8 };

	return types[pick(ARRAY_SIZE(types))];
}

/* Mostly with the key the nexus has, so that most commands do something. Keys are few, and hosts share some. */
static struct model_command random_command(const struct model *model, unsigned int nexus)
{
	struct model_command c = { .action = (enum model_action)pick(MODEL_PREEMPT_ABORT + 1), .nexus = nexus, .type = random_type() };

	c.key = pick(8) ? model->keys[nexus] : 1 + pick(5);
	c.sa_key = pick(5) ? 1 + pick(5) : 0;
	if (c.action == MODEL_CLEAR && pick(4))
		c.action = MODEL_REGISTER;
	/* Preempting oneself: without the reservation standards differ; with it and for the same type, see pr_merge_owner(). */
	if (c.action >= MODEL_PREEMPT && c.sa_key == c.key && (!model_is_holder(model, nexus) || c.type == model->type))
		c.sa_key = 0;
	if ((c.action == MODEL_RESERVE || c.action == MODEL_RELEASE) && model->type && pick(2))
		c.type = model->type;
	return c;
}

static void tell(const struct model_command *c, bool owner, const struct model *kernel, const struct model *ideal)
{
	static const char *const names[] = { "REGISTER", "REGISTER AND IGNORE", "RESERVE", "RELEASE", "CLEAR", "PREEMPT", "PREEMPT AND ABORT" };

	if (!getenv("PR_SEED"))
		return;
	print_message("# nexus %u: %s key %" PRIu64 " sa key %" PRIu64 " type %u (%s) kernel", c->nexus, names[c->action], c->key, c->sa_key,
		      c->type, owner ? "owner" : "other");
	for (unsigned int i = 0; i < MODEL_NEXUSES; i++)
		print_message("%s%" PRIu64, i ? "" : " ", kernel->keys[i]);
	print_message(" type %u %u, ideal", kernel->type, kernel->holder);
	for (unsigned int i = 0; i < MODEL_NEXUSES; i++)
		print_message("%s%" PRIu64, i ? "" : " ", ideal->keys[i]);
	print_message(" type %u %u\n", ideal->type, ideal->holder);
}

static void require_table(const struct pr_table *table, const struct model *model, uint64_t seed)
{
	_cleanup_pr_table_ struct pr_table wanted = lio_state(model);
	_cleanup_strbuf_ struct strbuf difference = { 0 };

	if (pr_table_equal(table, &wanted))
		return;
	pr_table_describe(&wanted, table, &difference);
	fail_msg("PR_SEED=%" PRIu64 ": the cluster's table differs from the model's:\n%s", seed, strbuf_str(&difference));
}

struct cluster {
	struct pr_table table;
	struct model kernel[2];   /* of node 1 and 2: each behaves by the standard, on what it knows */
	struct pr_table known[2]; /* what was last seen of them */
	unsigned int owner;       /* 1 or 2 */
	uint64_t n_moves;         /* for a command through the other's port */
	struct model ideal;       /* one logical unit that has seen every command that was answered GOOD */
};

static void cluster_done(struct cluster *cluster)
{
	pr_table_done(&cluster->table);
	pr_table_done(&cluster->known[0]);
	pr_table_done(&cluster->known[1]);
}

/* A table into a kernel, as a load into a fresh backstore does. */
static void load(struct cluster *cluster, unsigned int node)
{
	struct model *kernel = &cluster->kernel[node - 1];

	memset(kernel, 0, sizeof(*kernel));
	kernel->type = cluster->table.type;
	for (size_t i = 0; i < cluster->table.n; i++) {
		const struct pr_registration *r = &cluster->table.registrations[i];
		unsigned int nexus = nexus_of(r);

		kernel->keys[nexus] = r->key;
		if (r->holder)
			kernel->holder = nexus;
	}
	pr_table_done(&cluster->known[node - 1]);
	pr_table_copy(&cluster->table, &cluster->known[node - 1]);
}

/* The new owner's kernel has it all before it serves. */
static void take_over(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->table.n; i++)
		cluster->table.registrations[i].unloaded = false;
	load(cluster, cluster->owner);
}

/* Returns whether the host heard GOOD. */
static bool command(struct cluster *cluster, const struct model_command *c)
{
	unsigned int node = node_of(c->nexus);
	struct model *kernel = &cluster->kernel[node - 1];
	struct pr_table after, merged;
	struct err err = ERR_INIT;
	int rc;

	tell(c, node == cluster->owner, kernel, &cluster->ideal);
	if (model_prout(kernel, c) != MODEL_GOOD)
		return false;
	after = lio_state(kernel);
	if (node != cluster->owner && pr_table_equal(&after, &cluster->known[node - 1])) {
		/* Nothing is written, so nobody can object: a node whose kernel is behind refuses commands until it is loaded. */
		bool behind = !pr_table_equal(&cluster->table, &after);

		pr_table_done(&after);
		return !behind;
	}
	rc = node == cluster->owner ? pr_merge_owner(&cluster->table, &after, &merged, &err) :
				      pr_merge_other(&cluster->table, &cluster->known[node - 1], &after, node, &merged, &err);
	if (rc < 0 && node != cluster->owner && pr_merge_heir(&cluster->table, &cluster->known[node - 1], &after, &merged, &err) == 0) {
		/* The group moves here for it. The new owner's kernel is loaded before it serves. */
		cluster->owner = node;
		pr_table_done(&after);
		pr_table_done(&cluster->table);
		cluster->table = merged;
		take_over(cluster);
		cluster->n_moves++;
		return true;
	}
	if (rc < 0) { /* the connection was cut; what the kernel did is taken back by a load */
		assert_true(node != cluster->owner && err.text[0]);
		pr_table_done(&after);
		load(cluster, node);
		return false;
	}
	pr_table_done(&cluster->table);
	cluster->table = merged;
	pr_table_done(&cluster->known[node - 1]);
	cluster->known[node - 1] = after;
	return true;
}

/* Nobody is registered who was fenced, unregistered or cleared, and the reservation is the one hosts were told of. */
static void require_safe(const struct cluster *cluster, uint64_t seed)
{
	const struct pr_registration *holder = pr_table_holder(&cluster->table);

	for (size_t i = 0; i < cluster->table.n; i++) {
		const struct pr_registration *r = &cluster->table.registrations[i];
		unsigned int nexus = nexus_of(r);

		if (cluster->ideal.keys[nexus] != r->key)
			fail_msg("PR_SEED=%" PRIu64 ": nexus %u has key %" PRIu64 ", but should have %" PRIu64, seed, nexus, r->key,
				 cluster->ideal.keys[nexus]);
	}
	if (cluster->table.type != cluster->ideal.type || !holder != !cluster->ideal.type)
		fail_msg("PR_SEED=%" PRIu64 ": reservation type %d, but should be %u", seed, cluster->table.type, cluster->ideal.type);
}

/* Who lost a registration to caution has to register again, as hosts see in READ KEYS. */
static void forget_the_dropped(struct cluster *cluster)
{
	struct model actual = { 0 };

	for (size_t i = 0; i < cluster->table.n; i++)
		actual.keys[nexus_of(&cluster->table.registrations[i])] = 1;
	for (unsigned int i = 0; i < MODEL_NEXUSES; i++) {
		if (cluster->ideal.keys[i] && !actual.keys[i])
			model_prout(&cluster->ideal, &(struct model_command){ .action = MODEL_REGISTER_IGNORE, .nexus = i });
	}
}

static uint64_t n_streams(uint64_t *ret_first)
{
	const char *seed = getenv("PR_SEED");

	*ret_first = seed ? strtoull(seed, NULL, 10) : 1;
	return seed ? 1 : 400;
}

static void the_owners_stream_is_the_models(void **unused)
{
	uint64_t first, n = n_streams(&first), n_good = 0, n_reserved = 0;

	(void)unused;
	for (uint64_t seed = first; seed < first + n; seed++) {
		struct cluster cluster = { .owner = 1 };

		random_state = seed * 0x9e3779b97f4a7c15;
		for (int i = 0; i < 100; i++) {
			struct model_command c = random_command(&cluster.kernel[0], pick(MODEL_NEXUSES / 2) * 2);

			n_good += command(&cluster, &c);
			require_table(&cluster.table, &cluster.kernel[0], seed);
			n_reserved += cluster.table.type != 0;
		}
		cluster_done(&cluster);
	}
	assert_true(n_good > n * 20 && n_reserved > n * 10); /* the streams do something */
}

/* Both ports are used, ownership moves, kernels are loaded as a takeover does. */
static void no_stream_leaves_a_fenced_host_registered(void **unused)
{
	uint64_t first, n = n_streams(&first), n_other = 0, n_refused = 0, n_reserved = 0, n_moves = 0;

	(void)unused;
	for (uint64_t seed = first; seed < first + n; seed++) {
		struct cluster cluster = { .owner = 1 };

		random_state = seed * 0x9e3779b97f4a7c15;
		for (int i = 0; i < 150; i++) {
			unsigned int nexus = pick(MODEL_NEXUSES), node = node_of(nexus);
			struct model_command c = random_command(&cluster.kernel[node - 1], nexus);
			bool other = node != cluster.owner, good;

			if (other && pick(2))
				load(&cluster, node); /* the mirror has caught up */
			if (pick(20) == 0) {
				cluster.owner = 3 - cluster.owner;
				take_over(&cluster);
			}
			other = node != cluster.owner;
			good = command(&cluster, &c);
			n_other += other && good;
			n_refused += other && !good;
			n_reserved += cluster.table.type != 0;
			if (good) { /* a GOOD that is another status on the ideal unit must have changed nothing that counts */
				struct model_command same = c;

				if (same.action >= MODEL_RESERVE)
					same.key = cluster.ideal.keys[nexus];
				if (same.action == MODEL_REGISTER)
					same.action = MODEL_REGISTER_IGNORE;
				model_prout(&cluster.ideal, &same);
			}
			forget_the_dropped(&cluster);
			require_safe(&cluster, seed);
		}
		n_moves += cluster.n_moves;
		cluster_done(&cluster);
	}
	assert_true(n_moves > n * 5 && n_other > n && n_refused > n && n_reserved > n * 10);
}

/* --- rules of merging, one by one -----------------------------------------------------------------------------------------*/

/* Digit i: the key of nexus i. Those from `unloaded` on have come through another node's port. */
static struct pr_table state(const char *keys, unsigned int type, unsigned int holder, const char *unloaded)
{
	struct model model = { .type = type, .holder = holder };
	struct pr_table table;

	for (unsigned int i = 0; keys[i]; i++)
		model.keys[i] = (uint64_t)(keys[i] - '0');
	table = lio_state(&model);
	for (size_t i = 0; i < table.n; i++)
		table.registrations[i].unloaded = unloaded[nexus_of(&table.registrations[i])] == 'u';
	return table;
}

#define LOADED "............"

static void require_owner_merge(const char *cluster, const char *unloaded, const char *after, const char *expected)
{
	_cleanup_pr_table_ struct pr_table c = state(cluster, 0, 0, unloaded), a = state(after, 0, 0, LOADED);
	_cleanup_pr_table_ struct pr_table e = state(expected, 0, 0, LOADED), merged = { 0 };

	assert_int_equal(pr_merge_owner(&c, &a, &merged, NULL), 0);
	assert_true(pr_table_equal(&merged, &e));
}

static void the_owner_keeps_what_came_through_other_ports(void **unused)
{
	(void)unused;
	/* Host 0 has key 1 through both ports, host 1 key 2. */
	require_owner_merge("11", ".u", "101", "111");
	require_owner_merge("11", ".u", "102", "112");
	require_owner_merge("1122", ".u.u", "1", "11");         /* PREEMPT of 2: all of it */
	require_owner_merge("1122", ".u.u", "0", "0");          /* CLEAR */
	require_owner_merge("0122", "...u", "0030", "0032");    /* a changed key takes nobody else along */
	require_owner_merge("1102", "...u", "1", "1002");       /* what the owner's kernel has, it may drop */
	require_owner_merge("11", ".u", "11", "11");            /* loaded by now */
}

static int merge(const char *cluster, const char *unloaded, const char *before, const char *after, const char *expected)
{
	_cleanup_pr_table_ struct pr_table c = state(cluster, 0, 0, unloaded), b = state(before, 0, 0, LOADED);
	_cleanup_pr_table_ struct pr_table a = state(after, 0, 0, LOADED), e = state(expected, 0, 0, LOADED), merged = { 0 };
	struct pr_change change;
	int rc = pr_merge_other(&c, &b, &a, 2, &merged, NULL);

	change = pr_table_compare(&merged, &e);
	assert_true(rc < 0 ? !merged.n : !change.n_added && !change.n_removed && !change.n_rekeyed);
	return rc;
}

static void another_node_may_only_register(void **unused)
{
	_cleanup_pr_table_ struct pr_table reserved = state("11", 5, 0, LOADED), bare = state("11", 0, 0, LOADED), merged = { 0 };

	(void)unused;
	assert_int_equal(merge("1", LOADED, "1", "11", "11"), 0);
	assert_int_equal(merge("11", ".u", "11", "13", "13"), 0);
	assert_int_equal(merge("11", ".u", "11", "1", "1"), 0);
	assert_int_equal(merge("102", LOADED, "1", "11", "112"), 0);              /* the mirror is behind */
	assert_int_equal(merge("112", ".u.", "11", "1", ""), -EPERM);             /* perhaps a CLEAR */
	assert_int_equal(merge("11", LOADED, "11", "13", ""), -EPERM);            /* the owner enforces it with the old key */
	assert_int_equal(merge("11", LOADED, "11", "1", ""), -EPERM);
	assert_int_equal(merge("1", "u", "1", "2", ""), -EPERM);                  /* another node's port */
	assert_int_equal(merge("0101", ".u.u", "0101", "0", ""), -EPERM);         /* several hosts */
	assert_int_equal(pr_merge_other(&bare, &bare, &reserved, 2, &merged, NULL), -EPERM);
	assert_int_equal(pr_merge_other(&reserved, &reserved, &bare, 2, &merged, NULL), -EPERM);
}

static int heir(const char *cluster, unsigned int c_type, const char *before, unsigned int b_type, const char *after, unsigned int a_type,
		const char *expected)
{
	_cleanup_pr_table_ struct pr_table c = state(cluster, c_type, 0, "...u"), b = state(before, b_type, 0, LOADED);
	_cleanup_pr_table_ struct pr_table a = state(after, a_type, 0, LOADED), e = state(expected, a_type, 0, LOADED), merged = { 0 };
	int rc = pr_merge_heir(&c, &b, &a, &merged, NULL);

	assert_true(rc < 0 ? !merged.n : pr_table_equal(&merged, &e));
	return rc;
}

static void an_heir_does_what_the_owner_would_have(void **unused)
{
	(void)unused;
	assert_int_equal(heir("1122", 5, "1122", 5, "11", 5, "11"), 0);       /* PREEMPT of 2 */
	assert_int_equal(heir("1122", 5, "1122", 5, "0", 0, "0"), 0);         /* CLEAR */
	assert_int_equal(heir("1122", 0, "1122", 0, "1122", 5, "1122"), 0);   /* RESERVE */
	assert_int_equal(heir("1122", 0, "11", 0, "11", 5, "1122"), 0);       /* RESERVE, by one that lacks what came a moment ago */
	assert_int_equal(heir("1122", 3, "11", 0, "11", 5, ""), -EPERM);      /* what it lacks is a reservation */
	assert_int_equal(heir("2122", 0, "11", 0, "11", 5, ""), -EPERM);      /* the holder's own key is another by now */
	assert_int_equal(heir("0022", 0, "11", 0, "11", 5, ""), -EPERM);      /* the holder was preempted */
	assert_int_equal(heir("1122", 5, "112", 5, "11", 5, ""), -EPERM);     /* PREEMPT: whom else, it does not know */
	assert_int_equal(heir("1122", 5, "11", 5, "11", 0, ""), -EPERM);      /* RELEASE or what looks like it */
	assert_int_equal(heir("1122", 0, "11", 0, "113", 5, ""), -EPERM);     /* two commands */
}

static void what_is_unloaded_is_replicated(void **unused)
{
	_cleanup_pr_table_ struct pr_table table = state("112", 5, 0, ".u"), again = { 0 }, loaded = { 0 };
	_cleanup_strbuf_ struct strbuf text = { 0 };

	(void)unused;
	pr_table_print(&table, &text);
	again = parse(strbuf_str(&text));
	assert_true(pr_table_equal(&table, &again));
	assert_true(!again.registrations[0].unloaded && again.registrations[1].unloaded && !again.registrations[2].unloaded);
	pr_table_loaded(&again, &loaded);
	assert_int_equal(loaded.n, 2);
	assert_non_null(pr_table_holder(&loaded));
}

/* --- SRP ports ---------------------------------------------------------------------------------------------------------*/

#define PORT_ID "0x505400fffe120303505400fffe120303"
#define WWN(n) "0xfe80000000000000505400fffe12000" n
#define SRP_AT(key, fabric, target, tpgt, holder)                                                                        \
	"initiator_fabric=" fabric "\ninitiator_node=" PORT_ID "\nsa_res_key=" key "\n" holder "res_all_tg_pt=0\nmapped_lun=0\n"  \
	"target_fabric=" fabric "\ntarget_node=" target "\ntpgt=" tpgt "\nport_rtpi=1\ntarget_lun=17\n"
#define HOLDS "res_holder=1\nres_type=01\nres_scope=00\n"
#define HOLDS_NOT "res_holder=0\n"

static char wwn_1[] = WWN("1"), wwn_2[] = WWN("2"), standin_1[] = "iqn.2026-11.org.lunward.port:srpt.one",
	    standin_2[] = "iqn.2026-11.org.lunward.port:srpt.two";

/* What the kernels of both nodes say of one table is the same table, and what each is given is in its own words. */
static void srp_ports_are_named_alike(void **unused)
{
	static const char by_1[] = BLOCK("0", SRP_AT("11", "srpt", WWN("1"), "1", HOLDS)) BLOCK("1", SRP_AT("12", "iSCSI",
		"iqn.2026-11.org.lunward.port:srpt.two", "2", HOLDS_NOT)) BLOCK("2", REGISTRATION_B);
	static const char by_2[] = BLOCK("0", SRP_AT("12", "srpt", WWN("2"), "1", HOLDS_NOT)) BLOCK("1", SRP_AT("11", "iSCSI",
		"iqn.2026-11.org.lunward.port:srpt.one", "1", HOLDS)) BLOCK("2", REGISTRATION_B);
	const struct pr_port ports[] = { { "srpt", wwn_1, standin_1, 1, true }, { "srpt", wwn_2, standin_2, 2, false } };
	_cleanup_pr_table_ struct pr_table a = parse(by_1), b = parse(by_2), untouched = parse(by_1);
	const char listing[] = "SPC-3 PR Registrations:\n"
			       "srpt Node: " PORT_ID " Key: 0x000000000000000b PRgen: 0x00000001\n"
			       "iSCSI Node: " PORT_ID " Key: 0x000000000000000c PRgen: 0x00000002\n"
			       "iSCSI Node: iqn.2026-01.example:b,i,0x00023d010000 Key: 0xffffffffffffffff PRgen: 0x00000003\n";

	(void)unused;
	pr_table_from_kernel(&a, ports, ARRAY_SIZE(ports));
	pr_table_from_kernel(&b, ports, ARRAY_SIZE(ports));
	assert_true(pr_table_equal(&a, &b));
	assert_string_equal(pr_table_holder(&a)->target, WWN("1"));
	assert_int_equal(pr_table_holder(&a)->tpgt, 1);
	assert_true(pr_table_holds_through(&a, 1) && !pr_table_holds_through(&a, 2));
	assert_true(pr_table_is_listed(&a, listing));
	assert_true(pr_table_is_held(&a, "SPC-3 Reservation: srpt Initiator: " PORT_ID "\n", "SPC-3 Reservation Type: Write Exclusive Access\n"));
	assert_true(pr_table_is_held(&a, "SPC-3 Reservation: iSCSI Initiator: " PORT_ID "\n", "SPC-3 Reservation Type: Write Exclusive Access\n"));
	assert_false(pr_table_is_held(&a, "SPC-3 Reservation: fc Initiator: " PORT_ID "\n", "SPC-3 Reservation Type: Write Exclusive Access\n"));
	pr_table_to_kernel(&b, ports, ARRAY_SIZE(ports));
	assert_true(pr_table_equal(&b, &untouched));
}

/* The same host by its own node's port stands in for itself; the record names a holder that the owner has. */
static void a_host_holds_through_the_port_that_is_here(void **unused)
{
	static const char text[] = BLOCK("0", SRP_AT("11", "srpt", WWN("1"), "1", HOLDS))
		BLOCK("1", SRP_AT("12", "srpt", WWN("2"), "2", HOLDS_NOT)) BLOCK("2", REGISTRATION_B);
	_cleanup_pr_table_ struct pr_table table = parse(text), before = parse(text);

	(void)unused;
	pr_table_seen_from(&table, 1);
	assert_true(pr_table_equal(&table, &before));
	pr_table_seen_from(&table, 3);
	assert_true(pr_table_equal(&table, &before));
	pr_table_seen_from(&table, 2);
	assert_int_equal(pr_table_holder(&table)->tpgt, 2);
	pr_table_seen_by_all(&table);
	assert_int_equal(pr_table_holder(&table)->tpgt, 2);
	table.registrations[pr_table_holder(&table) - table.registrations].unloaded = true;
	pr_table_seen_by_all(&table);
	assert_true(pr_table_equal(&table, &before));
}

/* A path that waits for its node to take over changes its key, and the host holds what it held. */
static void a_new_key_keeps_what_it_stands_for(void **unused)
{
	static const char text[] = BLOCK("0", SRP_AT("11", "srpt", WWN("1"), "1", HOLDS)) BLOCK("1", SRP_AT("12", "srpt", WWN("2"), "2", HOLDS_NOT));
	static const char now[] = BLOCK("0", SRP_AT("11", "srpt", WWN("1"), "1", HOLDS_NOT)) BLOCK("1", SRP_AT("13", "srpt", WWN("2"), "2", HOLDS));
	_cleanup_pr_table_ struct pr_table cluster = parse(text), known = { 0 }, after = parse(now), result = { 0 };
	struct err err = ERR_INIT;

	(void)unused;
	cluster.registrations[1].unloaded = true;
	pr_table_seen_from(&cluster, 2);
	pr_table_copy(&cluster, &known);
	assert_int_equal(pr_merge_other(&cluster, &known, &after, 2, &result, &err), 0);
	assert_int_equal(pr_table_holder(&result)->key, 13);
	pr_table_seen_by_all(&result);
	assert_int_equal(pr_table_holder(&result)->key, 11);
}

#define FC_HOST "20:00:52:54:00:12:03:03"
#define FC_WWN(n) "20:00:52:54:00:12:34:0" n
#define FC_AT(key, fabric, target, tpgt, holder)                                                                         \
	"initiator_fabric=" fabric "\ninitiator_node=" FC_HOST "\nsa_res_key=" key "\n" holder "res_all_tg_pt=0\nmapped_lun=0\n"  \
	"target_fabric=" fabric "\ntarget_node=" target "\ntpgt=" tpgt "\nport_rtpi=1\ntarget_lun=17\n"

static char fc_wwn_1[] = FC_WWN("1"), fc_wwn_2[] = FC_WWN("2"), fc_standin_1[] = "iqn.2026-11.org.lunward.port:fc.one",
	    fc_standin_2[] = "iqn.2026-11.org.lunward.port:qla2xxx.two";

/* A host by FCoE on one node and by a card on the other: named alike everywhere, and itself wherever it comes. A port is of one fabric. */
static void ports_of_fibre_channel_are_named_alike(void **unused)
{
	static const char by_1[] = BLOCK("0", FC_AT("11", "fc", FC_WWN("1"), "1", HOLDS)) BLOCK("1", FC_AT("12", "iSCSI",
		"iqn.2026-11.org.lunward.port:qla2xxx.two", "2", HOLDS_NOT)) BLOCK("2", REGISTRATION_B);
	static const char by_2[] = BLOCK("0", FC_AT("12", "qla2xxx", FC_WWN("2"), "1", HOLDS_NOT)) BLOCK("1", FC_AT("11", "iSCSI",
		"iqn.2026-11.org.lunward.port:fc.one", "1", HOLDS)) BLOCK("2", REGISTRATION_B);
	static const char strange[] = BLOCK("0", FC_AT("11", "qla2xxx", FC_WWN("1"), "1", HOLDS_NOT));
	const struct pr_port ports[] = { { "fc", fc_wwn_1, fc_standin_1, 1, true }, { "qla2xxx", fc_wwn_2, fc_standin_2, 2, false } };
	_cleanup_pr_table_ struct pr_table a = parse(by_1), b = parse(by_2), untouched = parse(by_1), other = parse(strange);
	const char listing[] = "SPC-3 PR Registrations:\n"
			       "fc Node: " FC_HOST " Key: 0x000000000000000b PRgen: 0x00000001\n"
			       "iSCSI Node: " FC_HOST " Key: 0x000000000000000c PRgen: 0x00000002\n"
			       "iSCSI Node: iqn.2026-01.example:b,i,0x00023d010000 Key: 0xffffffffffffffff PRgen: 0x00000003\n";

	(void)unused;
	pr_table_from_kernel(&a, ports, ARRAY_SIZE(ports));
	pr_table_from_kernel(&b, ports, ARRAY_SIZE(ports));
	pr_table_from_kernel(&other, ports, ARRAY_SIZE(ports));
	assert_true(pr_table_equal(&a, &b));
	assert_string_equal(pr_table_holder(&a)->target_fabric, "fc");
	assert_string_equal(other.registrations[0].target_fabric, "qla2xxx");
	assert_true(pr_table_is_listed(&a, listing));
	assert_true(pr_table_is_held(&a, "SPC-3 Reservation: fc Initiator: " FC_HOST "\n", "SPC-3 Reservation Type: Write Exclusive Access\n"));
	assert_true(pr_table_is_held(&a, "SPC-3 Reservation: iSCSI Initiator: " FC_HOST "\n", "SPC-3 Reservation Type: Write Exclusive Access\n"));
	pr_table_seen_from(&a, 2);
	assert_string_equal(pr_table_holder(&a)->target, FC_WWN("2"));
	pr_table_to_kernel(&b, ports, ARRAY_SIZE(ports));
	assert_true(pr_table_equal(&b, &untouched));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lio_text_is_read), cmocka_unit_test(srp_ports_are_named_alike), cmocka_unit_test(ports_of_fibre_channel_are_named_alike),
		cmocka_unit_test(a_host_holds_through_the_port_that_is_here), cmocka_unit_test(a_new_key_keeps_what_it_stands_for),
		cmocka_unit_test(printed_text_is_sorted_and_stable),
		cmocka_unit_test(an_empty_table_has_two_forms),
		cmocka_unit_test(load_text_has_no_octal_type),
		cmocka_unit_test(what_lio_does_not_write_is_refused),
		cmocka_unit_test(a_cut_text_is_refused),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(a_reservation_is_held_through_ports),
		cmocka_unit_test(the_kernels_listing_is_compared),
		cmocka_unit_test(the_kernels_reservation_is_compared),
		cmocka_unit_test(a_state_on_the_way_to_the_listed_one_is_known),
		cmocka_unit_test(changes_are_described),
		cmocka_unit_test(the_owners_stream_is_the_models),
		cmocka_unit_test(no_stream_leaves_a_fenced_host_registered),
		cmocka_unit_test(the_owner_keeps_what_came_through_other_ports),
		cmocka_unit_test(another_node_may_only_register),
		cmocka_unit_test(an_heir_does_what_the_owner_would_have),
		cmocka_unit_test(what_is_unloaded_is_replicated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
