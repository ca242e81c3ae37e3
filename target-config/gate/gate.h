/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gates: the device-mapper devices that LIO opens, "lunward-<volume>" (docs/decisions/0001-sealed-template.md).
 *
 * closed: `0 8 linear <template> 8` + `8 N-8 error`: everything fails. The template is one device per node, "lunward.template",
 * that has a write cache like DRBD, so a host that scans the LUN through a closed gate sees WCE=1; but the part of it that gates
 * use is an error target too, so that a read or write that slipped past ALUA into those eight sectors fails like any other.
 * open: `0 N linear <backing> 0`.
 * holding: `0 N delay <template> 8 <GATE_HOLD_MS>`: as closed, but what is submitted waits, and fails when the next table comes or the
 * time is up, also with no agent left to see to it (docs/decisions/0005). For the moments of a planned move.
 * Each call is one device and may block until bios already mapped are done; different devices may run in parallel. Calls for
 * one volume wait for each other; only gate_ensure() does not: a gate that is just being opened or closed is there.
 */
#ifndef TARGET_CONFIG_GATE_H
#define TARGET_CONFIG_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Less than any host waits for a command before it aborts it (Linux 30 s, ESXi and Windows more), more than a move takes. */
#define GATE_HOLD_MS 8000

enum gate_state { GATE_ABSENT, GATE_CLOSED, GATE_OPEN, GATE_HOLDING };

/* Makes or finds the node's template device and loads what device-mapper needs; ret_path gets "/dev/mapper/lunward.template".
 * Idempotent across agent restarts. */
int gate_template_ensure(char ret_path[64], struct err *err) must_check;

/* Creates the gate closed if it is absent; leaves an existing one as it is, but gives a closed one the new size. A gate that a
 * dead agent left suspended is closed, one that it left holding goes on holding, one it had only prepared to swap is left with the table it has. */
int gate_ensure(const char *volume, uint64_t sectors, const char *template_path, struct err *err) must_check;
/* Swap in one resume: submitters see the old or the new table, never a mix, none in between fails. Opening an open gate on the
 * same backing and size does nothing; another size grows it. */
int gate_open(const char *volume, uint64_t sectors, const char *backing, struct err *err) must_check;
/* As gate_close(), of an open gate only, but into holding. -EOPNOTSUPP: this kernel has no delay target; nothing was changed. */
int gate_hold(const char *volume, uint64_t sectors, const char *template_path, struct err *err) must_check;
/* Drains (waits for bios already mapped to the backing), then everything fails; the backing is no longer held open.
 * Closing a closed or absent gate does nothing; a holding one lets go of what it holds, which fails. Before the swap the backing is flushed, so that a SYNCHRONIZE CACHE which meets
 * the closed gate was answered truthfully; if that flush fails, the gate is closed all the same and the error returned. */
int gate_close(const char *volume, uint64_t sectors, const char *template_path, struct err *err) must_check;
int gate_remove(const char *volume, struct err *err) must_check; /* 0 if absent */
/* ret_backing (may be NULL) e.g. "/dev/drbd3" by major:minor look-up in sysfs; "" unless open. */
int gate_inspect(const char *volume, enum gate_state *ret_state, uint64_t *ret_sectors, char ret_backing[64],
		 struct err *err) must_check;
/* Calls fn with the volume name of every gate on this node. */
int gate_list(void (*fn)(void *ctx, const char *volume), void *ctx, struct err *err) must_check;

#endif
