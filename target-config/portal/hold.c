// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets to portals are dropped for a moment, by nft(8). */
#include "target-config/portal/hold.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/run_cmd.h"
#include "base/strbuf.h"
#include "base/xalloc.h"

#define DEADLINE_MS 10000
#define FORGET "add table inet lunward_hold; delete table inet lunward_hold;" /* whether or not it is there */

static int nft(const char *commands, struct err *err)
{
	int rc = run_cmdl(err, DEADLINE_MS, "nft", commands, NULL);

	if (rc == -ENOENT)
		return err_set(err, rc, "there is no program nft: install the package nftables");
	return rc;
}

int portal_hold(const uint16_t *ports, size_t n, unsigned int limit_s, struct err *err)
{
	struct strbuf commands = { 0 };
	int rc;

	strbuf_addf(&commands, "%s", FORGET " add table inet lunward_hold;"
		    " add set inet lunward_hold ports { type inet_service; flags timeout; };"
		    " add chain inet lunward_hold input { type filter hook input priority -300; };"
		    " add rule inet lunward_hold input tcp dport @ports drop;");
	for (size_t i = 0; i < n; i++)
		strbuf_addf(&commands, " add element inet lunward_hold ports { %u timeout %us };", ports[i], limit_s);
	rc = nft(strbuf_str(&commands), err);
	strbuf_done(&commands);
	return rc;
}

int portal_let_in(struct err *err)
{
	return nft(FORGET, err);
}
