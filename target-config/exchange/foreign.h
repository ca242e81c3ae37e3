/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a file of another tool says, in one form for all of them: between the readers (read_*.c) and the maker of the document. */
#ifndef TARGET_CONFIG_EXCHANGE_FOREIGN_H
#define TARGET_CONFIG_EXCHANGE_FOREIGN_H

#include <jansson.h>

#include "target-config/exchange/exchange.h"

#define FOREIGN_NONE SIZE_MAX

struct foreign_disk {
	char *object; /* for notes */
	char *name;
	char *device; /* NULL if it is left out */
	char *serial; /* NULL: none, or none that is worth keeping */
	uint32_t block_size;
	bool is_left_out;         /* a note says why */
	bool product_is_name;     /* hosts see its name as product */
	const json_t *attributes; /* LIO's; borrowed, may be NULL */
	char *volume;             /* in the document, once it is there */
};

struct foreign_portal {
	char *address; /* as written, without brackets; "" all of them; else the GID or WWPN */
	uint16_t port;
	bool iser;
};

struct foreign_tpg { /* a target, or one portal group of it */
	char *object, *iqn;
	uint32_t tag; /* 0: not said */
	struct foreign_portal *portals;
	size_t n_portals, cap_portals;
	const json_t *attributes, *parameters; /* borrowed, may be NULL */
};

struct foreign_lun {
	char *object;
	size_t disk; /* index */
	uint32_t lun;
};

struct foreign_acl { /* one initiator at one portal group */
	char *object, *initiator;
	char *name; /* of the host, if the file has one */
	size_t tpg; /* index */
	struct config_chap chap, mutual_chap;
	struct foreign_lun *luns;
	size_t n_luns, cap_luns;
	const json_t *attributes; /* borrowed, may be NULL */
};

struct foreign {
	json_t *root;  /* what is borrowed from */
	json_t *names; /* key of a disk in the file -> index */
	struct foreign_disk *disks; size_t n_disks, cap_disks;
	struct foreign_tpg *tpgs;   size_t n_tpgs, cap_tpgs;
	struct foreign_acl *acls;   size_t n_acls, cap_acls;
	struct config_discovery discovery;
	struct exchange_notes *notes;
};

void foreign_init(struct foreign *foreign, struct exchange_notes *notes);
void foreign_done(struct foreign *foreign);

int foreign_read_saveconfig(struct foreign *foreign, const char *text, size_t size, struct err *err) must_check;
int foreign_read_scst(struct foreign *foreign, const char *text, size_t size, struct err *err) must_check;

/* FOREIGN_NONE if there is none. */
size_t foreign_find_disk(const struct foreign *foreign, const char *key);
/* Takes a copy of user and password; what Lunward would refuse is a note and false. */
bool foreign_take_chap(struct foreign *foreign, const char *object, const char *user, const char *password, struct config_chap *chap);

void note_left_out(struct exchange_notes *notes, const char *object, const char *fmt, ...) printf_like(3, 4);
void note_changed(struct exchange_notes *notes, const char *object, const char *fmt, ...) printf_like(3, 4);

/* compare.c: what the kernel target will be told otherwise than the file has it. */
void foreign_compare(const struct foreign *foreign, const struct config *config, uint32_t nodeid);
/* The value of an attribute as text: numbers and strings. */
const char *foreign_value_text(const json_t *value, char ret_text[24]);

/* hosts.c: ACLs to hosts and mappings of `document`. */
void import_hosts(const struct foreign *foreign, json_t *document);
/* A name of the model made of `text`: lower case, '-' for what is not allowed. "" if nothing is left of it. */
void import_make_name(const char *text, char ret_name[CONFIG_NAME_MAX + 1]);

/* targetcli's name of the fabric. */
const char *foreign_fabric(enum config_fabric_id id);

#endif
