# SPDX-License-Identifier: GPL-2.0-or-later
"""The stack that the documents of SUSE, Red Hat and LINBIT describe: Pacemaker's agents for DRBD, portblock, IPaddr2, iSCSITarget and
iSCSILogicalUnit (lio-t), one address that moves. DRBD has the timers that Lunward gives it; operations have time enough."""
import time
from typing import List

import timeline
from lab import cluster, host, pacemaker
from lab.api import Lab
from lab.wait import wait_until
from stack import GROUP, MULTIPATH, PLAIN, TARGET, Stack, sessions_conf

ADDRESS = "10.77.0.100"
PORTAL = f"{ADDRESS}:3260"
LOG_STEPS = ("start lun", "stop lun")

DRBD = """resource bench {{
	handlers {{
		fence-peer "/usr/lib/drbd/crm-fence-peer.sh";
		after-resync-target "/usr/lib/drbd/crm-unfence-peer.sh";
	}}
	net {{ protocol C; timeout 30; ping-int 4; ping-timeout 20; connect-int 4; ko-count 4; max-buffers 8000; max-epoch-size 8000; }}
	disk {{ fencing resource-and-stonith; on-io-error detach; disk-barrier no; }}
{nodes}}}
"""


def drbd_conf(n_volumes: int) -> str:
    volumes = "".join(f"\t\tvolume {i} {{ device /dev/drbd{i}; disk /dev/lunward/v{i}; meta-disk internal; }}\n" for i in range(n_volumes))
    return DRBD.format(nodes="".join(f"\ton n{n} {{\n\t\taddress 10.78.0.{n}:7788;\n{volumes}\t}}\n" for n in (1, 2)))


def operations(resource: str, *ops: tuple) -> str:
    """Of (name, timeout in seconds, interval, role), the last two as needed."""
    text = ""
    for i, op in enumerate(ops):
        name, timeout, interval, role = (*op, *("0", "")[len(op) - 2:])
        text += f'<op id="{resource}-o{i}" name="{name}" timeout="{timeout}s" interval="{interval}s"' + (f' role="{role}"/>' if role else "/>")
    return f"<operations>{text}</operations>"


def primitive(name: str, provider: str, agent: str, ops: str, **attributes) -> str:
    pairs = "".join(f'<nvpair id="{name}-a-{k}" name="{k}" value="{v}"/>' for k, v in attributes.items())
    return (f'<primitive id="{name}" class="ocf" provider="{provider}" type="{agent}">'
            f'<instance_attributes id="{name}-a">{pairs}</instance_attributes>{ops}</primitive>')


def resources(n_volumes: int) -> str:
    def plain(name: str, agent: str, **attributes) -> str:
        return primitive(name, "heartbeat", agent, operations(name, ("start", 600), ("stop", 600), ("monitor", 300, 30)), **attributes)

    drbd = primitive("drbd", "linbit", "drbd", operations("drbd", ("start", 600), ("stop", 600), ("promote", 600), ("demote", 600), (
        "notify", 300), ("monitor", 300, 29, "Promoted"), ("monitor", 300, 31, "Unpromoted")), drbd_resource="bench")
    meta = "".join(f'<nvpair id="ms-{k}" name="{k}" value="{v}"/>' for k, v in {
        "promotable": "true", "promoted-max": 1, "promoted-node-max": 1, "clone-max": 2, "clone-node-max": 1, "notify": "true"}.items())
    port = {"ip": ADDRESS, "portno": 3260, "protocol": "tcp"}
    members = [plain("block", "portblock", action="block", **port),
               plain("address", "IPaddr2", ip=ADDRESS, cidr_netmask=24, nic="san0"),
               plain("target", "iSCSITarget", implementation="lio-t", iqn=TARGET, portals=PORTAL)]
    members += [plain(f"lun{i}", "iSCSILogicalUnit", implementation="lio-t", target_iqn=TARGET, lun=i, path=f"/dev/drbd{i}")
                for i in range(n_volumes)]
    members.append(plain("unblock", "portblock", action="unblock", **port))
    return (f'{pacemaker.STONITH}<clone id="ms"><meta_attributes id="ms-m">{meta}</meta_attributes>{drbd}</clone>'
            f'<group id="{GROUP}">{"".join(members)}</group>')


CONSTRAINTS = f"""
<rsc_colocation id="with-promoted" rsc="{GROUP}" with-rsc="ms" with-rsc-role="Promoted" score="INFINITY"/>
<rsc_order id="after-promote" first="ms" first-action="promote" then="{GROUP}" then-action="start"/>
<rsc_location id="ms-not-on-n3" rsc="ms" node="n3" score="-INFINITY"/>
<rsc_location id="group-not-on-n3" rsc="{GROUP}" node="n3" score="-INFINITY"/>
"""


class Peer(Stack):
    packages = False
    processes = f"corosync {pacemaker.PROCESSES}"

    def __init__(self, lab: Lab, say, n_volumes: int, multipath: bool):
        super().__init__(lab, say, n_volumes)
        self.multipath = multipath
        self.slow_s = 600 + 60 * n_volumes  # no step takes that long

    def prepare(self, node) -> None:
        """What a boot forgets. The portblock of Debian 12 does not know what its iptables prints for -n since 1.8.9 (6 for tcp), and targetcli
        does not make the directory without which LIO refuses every PERSISTENT RESERVE OUT."""
        node.run("sed -i 's/\\^DROP${w}${1}${w}--/^DROP${w}[a-z0-9]*${w}--/' /usr/lib/ocf/resource.d/heartbeat/portblock && "
                 "grep -q 'DROP.*a-z0-9' /usr/lib/ocf/resource.d/heartbeat/portblock && modprobe drbd && mkdir -p /etc/rtslib-fb-target/pr")

    def set_up(self) -> float:
        lab = self.lab
        lab.align_clocks()
        cluster.create(lab)
        create = "".join(f"lvcreate -qq -y -Wn -n v{i} -L {self.size_mib + 4}m lunward && " for i in range(self.n_volumes))
        for node in (lab.n1, lab.n2):
            self.prepare(node)
            node.put("/etc/drbd.d/bench.res", drbd_conf(self.n_volumes))
            node.run(f"{create} drbdadm -- --force create-md bench && drbdadm up bench", timeout_s=self.slow_s)
        wait_until(lambda: self.n_volumes == lab.n1.out("cat /proc/drbd").count("cs:Connected"), self.slow_s, "DRBD to connect", 1)
        lab.n1.run(" && ".join(f"drbdadm new-current-uuid --clear-bitmap bench/{i}" for i in range(self.n_volumes)), timeout_s=self.slow_s)
        self.wait_equal()
        for node in (lab.n1, lab.n2):
            node.run("drbdadm down bench && sync -f /etc/drbd.d/bench.res", timeout_s=self.slow_s)
        pacemaker.start(lab)
        pacemaker.configure(lab.n3, "rsc_defaults", '<meta_attributes id="d"><nvpair id="d-s" name="resource-stickiness" value="100"/></meta_attributes>')
        began = time.monotonic()
        # At one moment: the constraints name the resources, and no resource may start without its constraints.
        pacemaker.configure(lab.n3, "configuration", f"<resources>{resources(self.n_volumes)}</resources><constraints>{CONSTRAINTS}</constraints>")
        self.wait_served(None)
        return time.monotonic() - began

    def wait_equal(self) -> None:
        nodes = (self.lab.n1, self.lab.n2)
        wait_until(lambda: all(n.out("cat /proc/drbd").count("ds:UpToDate/UpToDate") == self.n_volumes for n in nodes), self.slow_s,
                   "DRBD to be in sync", 1)

    def where(self, resource: str) -> str:
        """The node on which a resource runs, or ""."""
        said = self.lab.n3.run(f"crm_resource --resource {resource} --locate", check=False, timeout_s=120).out
        return said.split("running on:")[1].split()[0] if "running on:" in said else ""

    def owner(self) -> str:
        return self.where("unblock")  # the last of the group

    def wait_served(self, by) -> None:
        wait_until(lambda: self.owner() in ([by] if by else ["n1", "n2"]), 2 * self.slow_s, f"{by or 'a node'} to serve", 1,
                   explain=lambda: self.lab.n3.run("crm_mon -1rf", check=False, timeout_s=120).out)

    def connect(self) -> List[str]:
        h1 = self.lab.h1
        sessions_conf(h1, MULTIPATH if self.multipath else PLAIN)
        host.discover(h1, PORTAL)
        host.login(h1, TARGET, PORTAL)
        by_path = [f"/dev/disk/by-path/ip-{PORTAL}-iscsi-{TARGET}-lun-{i}" for i in self.ends()]
        for path in by_path:
            wait_until(lambda path=path: h1.run(f"test -b {path}", check=False).code == 0, 300, path)
        if not self.multipath:
            return by_path
        return [self.map_of(path) for path in by_path]

    def map_of(self, path: str) -> str:
        def named():
            return self.lab.h1.run(f"ls /sys/block/$(basename $(readlink -f {path}))/holders | head -n 1", check=False).out.strip()
        return "/dev/" + wait_until(named, 120, f"a multipath map over {path}")

    def move(self, to: str) -> None:
        pacemaker.move(self.lab.n3, GROUP, to)
        self.wait_served(to)

    def settle(self) -> None:
        pacemaker.settle(self.lab.n3, GROUP, self.slow_s)

    def wait_taken_over(self, by: str) -> None:
        self.wait_served(by)

    def restore(self, name: str) -> None:
        node = self.lab.nodes[name]
        node.power_on()
        self.prepare(node)
        pacemaker.start_node(node)
        self.wait_equal()
        # crm-fence-peer's constraint goes when the resync has ended: before that n1 must not be promoted.
        wait_until(lambda: "drbd-fence-by-handler" not in self.lab.n3.out("cibadmin --query --scope constraints", timeout_s=120),
                   self.slow_s, "the constraint of crm-fence-peer to go", 1)
        self.settle()

    def steps(self, since_s: float, until_s: float) -> List[dict]:
        return timeline.without_middle(super().steps(since_s, until_s), LOG_STEPS)
