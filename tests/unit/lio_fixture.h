/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cluster document as tests of lio need it: two storage nodes, a third on a target of its own, groups, hosts, portals. */
#ifndef TESTS_UNIT_LIO_FIXTURE_H
#define TESTS_UNIT_LIO_FIXTURE_H

#include "target-config/model/config.h"

#define FIXTURE_IQN "iqn.2026-01.org.example:t1"
#define FIXTURE_IQN2 "iqn.2026-01.org.example:t2"

enum fixture_flag {
	FIXTURE_V3 = 1 << 0,     /* a third volume, in g1, for h1 as LUN 5 */
	FIXTURE_H2 = 1 << 1,     /* a second host, without CHAP, with v1 as LUN 7 */
	FIXTURE_T2 = 1 << 2,     /* a second target with v1 for h1 */
	FIXTURE_NO_V2 = 1 << 3,  /* g2 without its volume */
	FIXTURE_SWAP = 1 << 4,   /* v1 and v2 change their LUN numbers */
	FIXTURE_REBORN = 1 << 5, /* v1 has another serial: it was deleted and made again */
	FIXTURE_NO_CHAP = 1 << 6,
	FIXTURE_ISER = 1 << 7,
	FIXTURE_BY_ADDRESS = 1 << 9, /* with FIXTURE_SRP: h1 is known by its address */
	FIXTURE_SRP = 1 << 8,    /* an SRP target with v1 for h1, who has a port id too; a port of nodes 1, 2 and 3 each */
	FIXTURE_FCOE = 1 << 10,  /* likewise, by WWPNs; one of the three at a time */
	FIXTURE_FC = 1 << 11,
	FIXTURE_ALONE = 1 << 12, /* g1 has node 1 only */
};

/* Of node 1, or another: fixture_port(). */
#define FIXTURE_GID "fe80:0000:0000:0000:5054:00ff:fe12:0001"
#define FIXTURE_SRP_WWN "0xfe80000000000000505400fffe120001"
#define FIXTURE_WWPN "20:00:52:54:00:12:34:01"
#define FIXTURE_HOST_WWPN "20:00:52:54:00:12:03:03"
#define FIXTURE_PORT_ID "0x505400fffe120303505400fffe120303"

/* Node ids 1, 2, 3. Groups g1 (1, 2), g2 (2, 1). t1: a portal of nodes 1, 2 and 3 each. h1 with CHAP. */
struct config *fixture_config(unsigned int flags) must_check;
/* n volumes in g1, all for h1 on t1. */
struct config *fixture_many(size_t n) must_check;
/* Another GID or WWPN for the port of node 1: one that the machine has. */
void fixture_port(struct config *config, const char *name);
void fixture_free(struct config *config);

#endif
