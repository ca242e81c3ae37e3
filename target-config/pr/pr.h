/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The persistent reservations of one volume: one table for the whole cluster, and LIO's text for it.
 *
 * With force_pr_aptpl LIO writes all registrations of a volume to <dbroot>/pr/aptpl_<serial> before the host gets its status
 * (core_scsi3_update_aptpl_buf()); the same text, sorted, is what the nodes replicate. It names no generation and no command, so
 * what a command did is known from what the kernel of that node wrote before and after it: pr_merge_owner(), pr_merge_other().
 * Pure: no I/O. A path in the kernel's words: initiator, ISID and the port it came through.
 */
#ifndef TARGET_CONFIG_PR_H
#define TARGET_CONFIG_PR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/strbuf.h"

#define PR_NAME_SIZE 224          /* an iSCSI name has at most 223 bytes (RFC 7143 4.2.7.1) */
#define PR_FABRIC_SIZE 16
#define PR_ISID_SIZE 13           /* 12 hex digits */
#define PR_REGISTRATIONS_MAX 1024
#define PR_TEXT_MAX (256u << 10)  /* LIO's own buffer begins at this size (PR_APTPL_BUF_LEN) */
#define PR_FILE_PREFIX "aptpl_"

enum pr_type { /* SPC-4 table 49 */
	PR_TYPE_NONE = 0,
	PR_TYPE_WRITE_EXCLUSIVE = 1,
	PR_TYPE_EXCLUSIVE_ACCESS = 3,
	PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	PR_TYPE_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	PR_TYPE_WRITE_EXCLUSIVE_ALL = 7,
	PR_TYPE_EXCLUSIVE_ACCESS_ALL = 8,
};

struct pr_registration {
	char fabric[PR_FABRIC_SIZE]; /* LIO's name of the initiator's fabric: "iSCSI", "srpt", "fc", "qla2xxx" */
	char initiator[PR_NAME_SIZE];
	char isid[PR_ISID_SIZE];     /* "" where the fabric has none */
	uint64_t key;
	bool holder;                 /* at most one; LIO names one of several holders of an all-registrants type */
	bool all_tg_pt;
	uint64_t mapped_lun;
	char target_fabric[PR_FABRIC_SIZE];
	char target[PR_NAME_SIZE];
	uint16_t tpgt;               /* the node whose port it is: CONFIG_NODEID_MAX */
	uint16_t rtpi;
	uint64_t target_lun;
	bool unloaded;               /* only in the cluster's table: the owner's kernel has not got it */
};

struct pr_table { /* zero-initialise: nobody is registered */
	struct pr_registration *registrations; /* ascending by path */
	size_t n, cap;
	enum pr_type type; /* of the reservation; PR_TYPE_NONE: none. Scope is always that of the logical unit */
};

void pr_table_done(struct pr_table *table);
#define _cleanup_pr_table_ __attribute__((cleanup(pr_table_done)))
void pr_table_copy(const struct pr_table *table, struct pr_table *ret);
/* The same reservations: RTPIs, which LIO gives out anew, and what is loaded where do not count. */
bool pr_table_equal(const struct pr_table *a, const struct pr_table *b);
const struct pr_registration *pr_table_holder(const struct pr_table *table); /* NULL: none */
/* A path through one of that node's ports has the reservation: the holder's, or with an all-registrants type any that is registered. What such
 * a path releases is released; the RELEASE of any other is GOOD and does nothing (core_scsi3_emulate_pro_release()). */
bool pr_table_holds_through(const struct pr_table *table, uint32_t nodeid);
const char *pr_type_name(enum pr_type type); /* as people say it; "none" */

/* One whole state as LIO writes it, or pr_table_print(): lines and one NUL at the end. Anything else is refused and *ret left alone: -EINVAL with what
 * is wrong and in which line, -E2BIG for more than the bounds above. On success pr_table_done(). */
int pr_table_parse(const char *text, size_t size, struct pr_table *ret, struct err *err) must_check;
/* The same text, sorted and without the NUL, with a line "unloaded=1" where that is so: what the nodes replicate. */
void pr_table_print(const struct pr_table *table, struct strbuf *out);

/* What pr/res_aptpl_metadata takes for one registration of the table (one write(2) each), without a newline. LIO reads numbers in
 * C's notation, so the type goes without its leading zero. */
void pr_registration_load(const struct pr_table *table, const struct pr_registration *registration, struct strbuf *out);

/* What a change did, for the log and for decisions. */
struct pr_change {
	size_t n_added, n_rekeyed, n_removed;
	bool reservation; /* another holder or type */
};
struct pr_change pr_table_compare(const struct pr_table *before, const struct pr_table *after);
/* One line for each difference, in a fixed order. */
void pr_table_describe(const struct pr_table *before, const struct pr_table *after, struct strbuf *out);

struct pr_port { /* of a node's hardware: not of iSCSI */
	const char *fabric; /* LIO's name */
	char *wwn;       /* its driver's name of it */
	char *standin;   /* name of the target that stands in for it where it is not */
	uint16_t nodeid; /* whose it is */
	bool is_here;    /* in this kernel: only pr_table_to_kernel() asks */
};
/* Registrations at such ports in the table's words, and in this kernel's. */
void pr_table_from_kernel(struct pr_table *table, const struct pr_port *ports, size_t n);
void pr_table_to_kernel(struct pr_table *table, const struct pr_port *ports, size_t n);
/*
 * A kernel serves the hosts of such ports by its own only, while those of iSCSI are taken over: with a reservation that one path holds a host would shut
 * itself out by a takeover. So a node takes a host's registration through a port of its own, if there is one, for the holder. In the record the holder
 * is one that the owner's kernel has got, as ever: pr_table_seen_by_all() before it is written.
 */
void pr_table_seen_from(struct pr_table *table, uint32_t nodeid);
void pr_table_seen_by_all(struct pr_table *table);

/*
 * What a kernel wrote put into the cluster's table.
 *
 * The owner's kernel decides: what it has is the table. Registrations made through another node's port cannot be put into a kernel that
 * serves; they are kept beside it as `unloaded`, until another node has loaded them and takes over. They go when the owner's
 * kernel removed their key, or everything: a PREEMPT or CLEAR cannot be told from the table, and a host that has to register again is
 * better off than one that was fenced and writes.
 */
int pr_merge_owner(const struct pr_table *cluster, const struct pr_table *after, struct pr_table *ret, struct err *err) must_check;
/*
 * Another node, whose kernel was last known to have `before`, may only register; change a key or unregister, what is `unloaded`. For
 * one initiator, through its own ports (ALL_TG_PT adds others), without any effect on the reservation; unregister only while its
 * kernel knows the whole table. Else -EPERM, and the host must not hear GOOD.
 */
int pr_merge_other(const struct pr_table *cluster, const struct pr_table *before, const struct pr_table *after, uint32_t nodeid,
		   struct pr_table *ret, struct err *err) must_check;
/*
 * What only the owner may do, done by another node that becomes the owner for it: its kernel had `before` and has `after`, and will be loaded
 * again before it serves if that is not the result. If it had the whole table, what it did is what the owner would have done; if not,
 * only a RESERVE can be told from what is missing. Else -EPERM.
 */
int pr_merge_heir(const struct pr_table *cluster, const struct pr_table *before, const struct pr_table *after, struct pr_table *ret,
		  struct err *err) must_check;
/* Registrations that `kernel` has exactly so are `unloaded` no more; whether there were any. */
bool pr_table_note_loaded(struct pr_table *cluster, const struct pr_table *kernel);
/* What the owner's kernel has of the table. */
void pr_table_loaded(const struct pr_table *cluster, struct pr_table *ret);

/* Whether `listing`, what LIO shows in pr/res_pr_registered_i_pts, has the table's registrations. LIO cuts the list at a page: then
 * what is there is compared. Snapshots of concurrent commands are written in no certain order; this tells a late one. */
bool pr_table_is_listed(const struct pr_table *table, const char *listing);
/* Whether `holder` and `type`, what LIO shows in pr/res_holder and pr/res_pr_type, are the table's reservation. */
bool pr_table_is_held(const struct pr_table *table, const char *holder, const char *type);
/*
 * Of commands that run at the same time the kernel may write an older state later, and it writes one after the other: the newest waits
 * until those before it are answered. Whether `table`, which is not what is listed, is one that comes after `before`: it has new
 * registrations or keys, all of which the kernel still has, and nothing else. An older one may only show what was true before.
 */
bool pr_table_is_on_the_way(const struct pr_table *before, const struct pr_table *table, const char *listing);

#endif
