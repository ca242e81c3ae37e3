/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lio takes for granted of configfs, as checks that run against the kernel (tests/lab/guest/test_lio.c) and against the
 * tree in memory (test_lio.c): a fake that is kinder than the kernel proves nothing.
 */
#ifndef TESTS_UNIT_CFS_CONTRACT_H
#define TESTS_UNIT_CFS_CONTRACT_H

#include "target-config/lio/cfs.h"

/* To be run before anything made target/iscsi; leaves nothing but that behind. device, device2: block devices nobody else uses. Calls fail for each broken promise; returns their number. */
int cfs_contract(struct cfs *cfs, const char *root, const char *device, const char *device2, void (*fail)(const char *text));

/* The same of SRP, after that: `wwn` is a port that the machine has, `device` is free. Leaves nothing behind. */
int cfs_contract_srp(struct cfs *cfs, const char *root, const char *device, const char *wwn, void (*fail)(const char *text));
/* Of Fibre Channel: fabric "fc" or "qla2xxx". */
int cfs_contract_fc(struct cfs *cfs, const char *root, const char *device, const char *fabric, const char *wwpn, void (*fail)(const char *text));

#endif
