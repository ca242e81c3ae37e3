/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other tools' configurations: saveconfig.json of targetcli (rtslib) and scst.conf of SCST to a cluster document, and a document to a
 * saveconfig.json of one node. Pure: text in, text out; what a disk measures is asked of the caller.
 *
 * Nothing is lost in silence: what the other side has no word for is a note, by object. Nothing gets more access than it had: a host
 * whose secret or whose write protection cannot be kept is left out.
 */
#ifndef TARGET_CONFIG_EXCHANGE_H
#define TARGET_CONFIG_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "target-config/model/config.h"

struct exchange_note {
	bool is_left_out; /* the object is not there at all; else it is there, but not as it was */
	char *object;     /* in the words of the file it comes from */
	char *text;       /* what is lost and what to do about it; printable ASCII, no secrets */
};

struct exchange_notes { /* zero-initialise */
	struct exchange_note *list;
	size_t n, cap;
};
void exchange_notes_done(struct exchange_notes *notes);

struct import_map { /* what becomes of a backstore */
	const char *backstore; /* its name */
	const char *group;
	const char *volume;  /* NULL: the backstore's name */
	const char *pool;    /* NULL: the one whose volume group the device is in, or the only one */
	uint64_t size_bytes; /* 0: not said */
};

struct import_portal {
	const char *address;   /* "10.77.0.1", or "10.77.0.1/24" if Lunward shall manage it on the interface */
	const char *interface; /* or NULL */
};

struct import_options {
	const char *document; /* a cluster document to add to, checked like any other; NULL: a new one */
	size_t document_size;
	const char *node; /* whose configuration the file is; NULL: the document has one storage node only */
	const struct import_map *maps;
	size_t n_maps;
	const struct import_portal *portals; /* for portals at all addresses; and how an address of the file is written */
	size_t n_portals;
	int (*size_of)(const char *device, uint64_t *ret_bytes); /* asked if the file does not say it; NULL: nobody knows */
	void (*random_bytes)(void *p, size_t size);              /* as for config_parse() */
};

/* The format is told from the text: saveconfig.json begins with '{'. The document is one that config_parse() takes, with its secrets.
 * -EINVAL: broken or wrong, with the place; then there is no document, but there may be notes. -E2BIG: too large. */
int exchange_import(const char *text, size_t size, const struct import_options *options, char **ret_document,
		    struct exchange_notes *notes, struct err *err) must_check;

/* What `node` has of the document, for rtslib to restore on that node without Lunward: backstores on the devices below the gates, the
 * node's own portal group. With its secrets. -ENOENT: no such storage node. */
int exchange_export_targetcli(const struct config *config, const char *node, char **ret_text, struct exchange_notes *notes,
			      struct err *err) must_check;

#endif
