// SPDX-License-Identifier: GPL-2.0-or-later
/* LIO's text of a volume's reservations, as core_scsi3_update_non_aptpl_buf() and core_scsi3_update_aptpl_buf() write it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target-config/pr/internal.h"

static const char nobody[] = "No Registrations or Reservations";

struct reader {
	const char *at, *end; /* the NUL */
	unsigned int line;
	struct err *err;
};

static int wrong(const struct reader *in, const char *what)
{
	return err_set(in->err, -EINVAL, "reservations as LIO wrote them: line %u: %s", in->line, what);
}

/* The rest of the next line if it begins with `key`; NULL: it does not, nothing is taken. */
static const char *take(struct reader *in, const char *key, size_t *ret_size)
{
	size_t key_size = strlen(key), left = (size_t)(in->end - in->at);
	const char *value = in->at + key_size, *newline;

	if (left < key_size || memcmp(in->at, key, key_size) != 0)
		return NULL;
	newline = memchr(value, '\n', left - key_size);
	if (!newline)
		return NULL;
	*ret_size = (size_t)(newline - value);
	in->at = newline + 1;
	in->line++;
	return value;
}

/* A name goes back into the kernel between commas and newlines, and to terminals. */
static int take_name(struct reader *in, const char *key, char *ret, size_t max)
{
	size_t size = 0;
	const char *value = take(in, key, &size);

	if (!value || size == 0)
		return wrong(in, key);
	if (size >= max)
		return wrong(in, "a name is too long");
	for (size_t i = 0; i < size; i++) {
		if (value[i] <= ' ' || value[i] > '~' || value[i] == ',')
			return wrong(in, "a name with a character that no name has");
	}
	memcpy(ret, value, size);
	ret[size] = '\0';
	return 0;
}

static int digit(char c, unsigned int base)
{
	int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;

	return d < (int)base ? d : -1;
}

static int take_number(struct reader *in, const char *key, unsigned int base, uint64_t max, uint64_t *ret)
{
	size_t size = 0;
	const char *value = take(in, key, &size);
	uint64_t number = 0;

	if (!value || size == 0)
		return wrong(in, key);
	if (base == 10 && size > 1 && value[0] == '0')
		return wrong(in, "a number with a leading zero");
	for (size_t i = 0; i < size; i++) {
		int d = digit(value[i], base);

		if (d < 0)
			return wrong(in, "not a number");
		if ((unsigned int)d > max || number > (max - (unsigned int)d) / base)
			return wrong(in, "a number is too large");
		number = number * base + (unsigned int)d;
	}
	*ret = number;
	return 0;
}

static bool is_type(uint64_t type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

static int take_reservation(struct reader *in, struct pr_table *table, struct pr_registration *r)
{
	uint64_t holder = 0, type = 0, scope = 0;
	int rc = take_number(in, "res_holder=", 10, 1, &holder);

	if (rc < 0 || !holder)
		return rc;
	if (table->type)
		return wrong(in, "a second holder");
	rc = take_number(in, "res_type=", 16, 0xff, &type);
	if (rc == 0)
		rc = take_number(in, "res_scope=", 16, 0xff, &scope);
	if (rc < 0)
		return rc;
	if (!is_type(type) || scope != 0)
		return wrong(in, "a reservation of unknown type or scope");
	r->holder = true;
	table->type = (enum pr_type)type;
	return 0;
}

/* LIO has it for iSCSI always, for others never. */
static int take_isid(struct reader *in, struct pr_registration *r)
{
	size_t size = 0;
	const char *value = take(in, "initiator_sid=", &size);

	if (!value)
		return 0;
	if (size != PR_ISID_SIZE - 1)
		return wrong(in, "an ISID has 12 digits");
	for (size_t i = 0; i < size; i++) {
		if (digit(value[i], 16) < 0)
			return wrong(in, "an ISID has hexadecimal digits");
	}
	memcpy(r->isid, value, size);
	return 0;
}

static int take_initiator(struct reader *in, struct pr_registration *r)
{
	int rc = take_name(in, "initiator_fabric=", r->fabric, sizeof(r->fabric));

	if (rc == 0)
		rc = take_name(in, "initiator_node=", r->initiator, sizeof(r->initiator));
	if (rc == 0)
		rc = take_isid(in, r);
	if (rc == 0)
		rc = take_number(in, "sa_res_key=", 10, UINT64_MAX, &r->key);
	return rc == 0 && !r->key ? wrong(in, "a registration without a key") : rc;
}

static int take_target(struct reader *in, struct pr_registration *r)
{
	uint64_t tpgt = 0, rtpi = 0;
	int rc = take_name(in, "target_fabric=", r->target_fabric, sizeof(r->target_fabric));

	if (rc == 0)
		rc = take_name(in, "target_node=", r->target, sizeof(r->target));
	if (rc == 0)
		rc = take_number(in, "tpgt=", 10, UINT16_MAX, &tpgt);
	if (rc == 0)
		rc = take_number(in, "port_rtpi=", 10, UINT16_MAX, &rtpi);
	if (rc == 0)
		rc = take_number(in, "target_lun=", 10, UINT64_MAX, &r->target_lun);
	r->tpgt = (uint16_t)tpgt;
	r->rtpi = (uint16_t)rtpi;
	return rc;
}

static int take_registration(struct reader *in, struct pr_table *table, uint64_t expected)
{
	struct pr_registration r = { 0 };
	uint64_t number = 0, all_tg_pt = 0;
	size_t size = 0;
	int rc = take_number(in, "PR_REG_START: ", 10, UINT32_MAX, &number);

	if (rc == 0 && number != expected)
		rc = wrong(in, "out of order");
	if (rc == 0)
		rc = take_initiator(in, &r);
	if (rc == 0)
		rc = take_reservation(in, table, &r);
	if (rc == 0)
		rc = take_number(in, "res_all_tg_pt=", 10, 1, &all_tg_pt);
	if (rc == 0)
		rc = take_number(in, "mapped_lun=", 10, UINT64_MAX, &r.mapped_lun);
	if (rc == 0)
		rc = take_target(in, &r);
	if (rc == 0 && take(in, "unloaded=1", &size))
		r.unloaded = true;
	if (rc == 0 && (size || (r.unloaded && r.holder)))
		rc = wrong(in, "unloaded");
	if (rc == 0)
		rc = take_number(in, "PR_REG_END: ", 10, UINT32_MAX, &number);
	if (rc == 0 && number != expected)
		rc = wrong(in, "out of order");
	r.all_tg_pt = all_tg_pt;
	if (rc == 0)
		*pr_table_add(table) = r;
	return rc;
}

static int take_table(struct reader *in, struct pr_table *table)
{
	size_t size = (size_t)(in->end - in->at);
	int rc = 0;

	if (size >= strlen(nobody) && memcmp(in->at, nobody, strlen(nobody)) == 0) {
		in->at += strlen(nobody);
		in->at += in->at < in->end && *in->at == '\n';
		return in->at == in->end ? 0 : wrong(in, "something after the end");
	}
	if (size == 0)
		return wrong(in, "nothing");
	while (rc == 0 && in->at < in->end) {
		if (table->n == PR_REGISTRATIONS_MAX)
			return err_set(in->err, -E2BIG, "more than %d registrations on one volume", PR_REGISTRATIONS_MAX);
		rc = take_registration(in, table, table->n);
	}
	pr_table_sort(table);
	for (size_t i = 1; rc == 0 && i < table->n; i++) {
		if (pr_same_path(&table->registrations[i - 1], &table->registrations[i]))
			rc = wrong(in, "the same path twice");
	}
	return rc;
}

int pr_table_parse(const char *text, size_t size, struct pr_table *ret, struct err *err)
{
	struct reader in = { .at = text, .line = 1, .err = err };
	struct pr_table table = { 0 };
	int rc;

	if (size > PR_TEXT_MAX)
		return err_set(err, -E2BIG, "the reservations of one volume take %zu bytes, the limit is %u", size, PR_TEXT_MAX);
	if (size == 0 || memchr(text, '\0', size) != text + size - 1)
		return err_set(err, -EINVAL, "reservations as LIO wrote them: not one whole text");
	in.end = text + size - 1;
	rc = take_table(&in, &table);
	if (rc < 0) {
		pr_table_done(&table);
		return rc;
	}
	*ret = table;
	return 0;
}

/* --- printing --------------------------------------------------------------------------------------------------------------*/

/* The kernel's own notation pads the type to two digits, which it then reads as octal. */
static void print_initiator(const struct pr_table *table, const struct pr_registration *r, bool as_kernel, struct strbuf *out)
{
	strbuf_addf(out, "initiator_fabric=%s\ninitiator_node=%s\n", r->fabric, r->initiator);
	if (r->isid[0])
		strbuf_addf(out, "initiator_sid=%s\n", r->isid);
	strbuf_addf(out, "sa_res_key=%" PRIu64 "\nres_holder=%d\n", r->key, r->holder);
	if (r->holder)
		strbuf_addf(out, as_kernel ? "res_type=%02x\nres_scope=00\n" : "res_type=%x\nres_scope=0\n", (unsigned int)table->type);
	strbuf_addf(out, "res_all_tg_pt=%d\nmapped_lun=%" PRIu64 "\n", r->all_tg_pt, r->mapped_lun);
}

void pr_table_print(const struct pr_table *table, struct strbuf *out)
{
	if (!table->n)
		strbuf_add(out, nobody);
	for (size_t i = 0; i < table->n; i++) {
		const struct pr_registration *r = &table->registrations[i];

		strbuf_addf(out, "PR_REG_START: %zu\n", i);
		print_initiator(table, r, true, out);
		strbuf_addf(out, "target_fabric=%s\ntarget_node=%s\ntpgt=%u\nport_rtpi=%u\ntarget_lun=%" PRIu64 "\n%sPR_REG_END: %zu\n",
			    r->target_fabric, r->target, r->tpgt, r->rtpi, r->target_lun, r->unloaded ? "unloaded=1\n" : "", i);
	}
}

void pr_registration_load(const struct pr_table *table, const struct pr_registration *r, struct strbuf *out)
{
	print_initiator(table, r, false, out);
	strbuf_addf(out, "target_fabric=%s\ntarget_node=%s\ntpgt=%u\ntarget_lun=%" PRIu64, r->target_fabric, r->target, r->tpgt,
		    r->target_lun);
}

/* --- the kernel's listing -----------------------------------------------------------------------------------------------------*/

#define LISTED_SIZE (PR_NAME_SIZE + 96)

static void print_listed(const struct pr_registration *r, char ret[LISTED_SIZE])
{
	/* At a port of hardware that is not here the kernel says iSCSI: pr_table_to_kernel(). No name of iSCSI is like that of another fabric. */
	snprintf(ret, LISTED_SIZE, "%s Node: %s%s%s Key: 0x%016" PRIx64 " PRgen:", strcmp(r->fabric, "iSCSI") == 0 ? r->fabric : "",
		 r->initiator, r->isid[0] ? ",i,0x" : "", r->isid, r->key);
}

bool pr_table_is_listed(const struct pr_table *table, const char *listing)
{
	static const char title[] = "SPC-3 PR Registrations:\n";
	size_t n_listed = 0, n_found = 0;
	const char *line = listing;

	if (strncmp(listing, title, strlen(title)) != 0)
		return false;
	line += strlen(title);
	if (strcmp(line, "None\n") == 0)
		return table->n == 0;
	for (; *line; n_listed++) {
		line = strchr(line, '\n');
		if (!line)
			return false;
		line++;
	}
	for (size_t i = 0; i < table->n; i++) {
		char wanted[LISTED_SIZE];

		/* Several paths may give the same line; only their number tells. */
		print_listed(&table->registrations[i], wanted);
		n_found += strstr(listing, wanted) != NULL;
	}
	/* Cut at a page: all that is shown must be in the table. */
	return strlen(listing) + LISTED_SIZE < 4096 ? n_found == table->n && n_listed == table->n : n_found >= n_listed;
}

static size_t count_listed(const char *listing, const char *wanted)
{
	size_t n = 0;

	for (const char *at = strstr(listing, wanted); at; at = strstr(at + 1, wanted))
		n++;
	return n;
}

static size_t count_same(const struct pr_table *table, const char *wanted)
{
	char line[LISTED_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < table->n; i++) {
		print_listed(&table->registrations[i], line);
		n += strcmp(line, wanted) == 0;
	}
	return n;
}

bool pr_table_is_on_the_way(const struct pr_table *before, const struct pr_table *table, const char *listing)
{
	struct pr_change change = pr_table_compare(before, table);

	if (change.reservation || change.n_removed || !(change.n_added || change.n_rekeyed))
		return false;
	for (size_t i = 0; i < table->n; i++) {
		const struct pr_registration *r = &table->registrations[i], *was = pr_table_find(before, r);
		char wanted[LISTED_SIZE];

		if (was && was->key == r->key)
			continue;
		print_listed(r, wanted);
		if (count_listed(listing, wanted) < count_same(table, wanted))
			return false;
	}
	return true;
}

/* core_scsi3_pr_dump_type() */
static const char *kernel_type_name(enum pr_type type)
{
	switch (type) {
	case PR_TYPE_WRITE_EXCLUSIVE:
		return "Write Exclusive Access";
	case PR_TYPE_EXCLUSIVE_ACCESS:
		return "Exclusive Access";
	case PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS:
		return "Write Exclusive Access, Registrants Only";
	case PR_TYPE_EXCLUSIVE_ACCESS_REGISTRANTS:
		return "Exclusive Access, Registrants Only";
	case PR_TYPE_WRITE_EXCLUSIVE_ALL:
		return "Write Exclusive Access, All Registrants";
	case PR_TYPE_EXCLUSIVE_ACCESS_ALL:
		return "Exclusive Access, All Registrants";
	case PR_TYPE_NONE:
		break;
	}
	return "";
}

static bool is_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	return strncmp(text, line, length) == 0 && (!text[length] || strcmp(text + length, "\n") == 0);
}

static bool is_holder_line(const char *text, const struct pr_registration *r, const char *fabric)
{
	char line[LISTED_SIZE];

	snprintf(line, sizeof(line), "SPC-3 Reservation: %s Initiator: %s%s%s", fabric, r->initiator, r->isid[0] ? ",i,0x" : "", r->isid);
	return is_line(text, line);
}

bool pr_table_is_held(const struct pr_table *table, const char *holder, const char *type)
{
	static const char none[] = "No SPC-3 Reservation holder";
	const struct pr_registration *r = pr_table_holder(table);
	char line[LISTED_SIZE];

	if (!r || !table->type)
		return is_line(holder, none) && is_line(type, none);
	if (!is_holder_line(holder, r, r->fabric) && !is_holder_line(holder, r, "iSCSI"))
		return false;
	snprintf(line, sizeof(line), "SPC-3 Reservation Type: %s", kernel_type_name(table->type));
	return is_line(type, line);
}
