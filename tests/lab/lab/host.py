# SPDX-License-Identifier: GPL-2.0-or-later
"""The host h1 as a Linux initiator: open-iscsi over TCP and iSER, dm-multipath, with the settings that Lunward asks hosts for."""
import re
from typing import List, Optional, Tuple

from .api import CommandFailed, Node
from .wait import wait_until

INITIATOR = "iqn.2026-11.lab.lunward:h1"

ISCSID_CONF = """\
iscsid.startup = /bin/systemctl start iscsid.socket
node.startup = manual
node.leading_login = No
node.session.timeo.replacement_timeout = {replacement_timeout}
node.conn[0].timeo.login_timeout = {login_timeout}
node.conn[0].timeo.logout_timeout = 15
node.conn[0].timeo.noop_out_interval = {noop_interval}
node.conn[0].timeo.noop_out_timeout = {noop_timeout}
node.session.err_timeo.abort_timeout = 15
node.session.err_timeo.lu_reset_timeout = 30
node.session.err_timeo.tgt_reset_timeout = 30
node.session.initial_login_retry_max = 8
node.session.cmds_max = 128
node.session.queue_depth = 32
node.session.xmit_thread_priority = -20
node.session.iscsi.InitialR2T = No
node.session.iscsi.ImmediateData = Yes
node.session.iscsi.FirstBurstLength = 262144
node.session.iscsi.MaxBurstLength = 16776192
node.conn[0].iscsi.MaxRecvDataSegmentLength = 262144
node.session.nr_sessions = 1
node.session.scan = auto
"""

MULTIPATH_CONF = """\
defaults {
	user_friendly_names no
	find_multipaths no
	polling_interval 1
	max_polling_interval 1
}
blacklist {
	devnode "^vd"
}
devices {
	device {
		vendor "LIO-ORG"
		product ".*"
		path_grouping_policy group_by_prio
		prio alua
		hardware_handler "1 alua"
		path_checker tur
		detect_checker yes
		failback immediate
		no_path_retry queue
		fast_io_fail_tmo 5
		dev_loss_tmo 600
	}
}
"""


def set_up(host: Node, initiator: str = INITIATOR, replacement_timeout: int = 5, noop_interval: int = 2, noop_timeout: int = 2,
           login_timeout: int = 5, multipath_conf: str = MULTIPATH_CONF) -> None:
    """Makes h1 an initiator: modules, soft RDMA on the SAN, iscsid, multipathd."""
    host.put("/etc/iscsi/initiatorname.iscsi", f"InitiatorName={initiator}\n")
    host.put("/etc/iscsi/iscsid.conf", ISCSID_CONF.format(
        replacement_timeout=replacement_timeout, noop_interval=noop_interval, noop_timeout=noop_timeout,
        login_timeout=login_timeout), mode=0o600)
    host.put("/etc/multipath.conf", multipath_conf)
    host.run("modprobe -a iscsi_tcp ib_iser scsi_dh_alua dm_multipath dm_service_time sd_mod sg", timeout_s=120)
    rxe(host)
    host.run("systemctl start iscsid multipathd", timeout_s=120)


def softdog(node: Node) -> str:
    """The kernel's own watchdog; the machine that is emulated may have another, which resets nothing."""
    node.run("modprobe softdog")
    return "/dev/" + node.out("basename $(dirname $(grep -l '^Software Watchdog' /sys/class/watchdog/*/identity))")


def rxe(node: Node) -> None:
    """Soft RDMA (RoCE) on the SAN interface of any machine."""
    node.run("modprobe -a rdma_rxe rdma_ucm && { rdma link show rxe0/1 >/dev/null 2>&1 || rdma link add rxe0 type rxe netdev san0; }",
             timeout_s=120)


def vn2vn(node: Node, interface: str) -> str:
    """A port of FCoE on the interface, without a switch: the ports of a link find each other. Returns its WWPN. The interface is to be down, and up
    afterwards: a frame of another port that comes while this one is made is a kernel's end (fcoe_ctlr_vn_recv())."""
    node.run(f"modprobe fcoe && echo {interface} >/sys/module/libfcoe/parameters/create_vn2vn", timeout_s=120)
    return "20:00:" + node.out(f"cat /sys/class/net/{interface}/address")


def fcoe_on_veth(node: Node) -> None:
    """A port of FCoE for a target, on one end of a link. The other end is for a host's, which guest_lio makes when the target is there. With
    addresses given, udev leaves them alone: a port keeps that of the moment when it was made."""
    node.run("ip link add veth-a mtu 2200 address 52:54:00:fc:00:01 type veth peer name veth-b mtu 2200 address 52:54:00:fc:00:02", timeout_s=60)
    vn2vn(node, "veth-a")
    node.run("ip link set veth-a up; modprobe -a tcm_fc sd_mod", timeout_s=60)


def chap(host: Node, iqn: str, portal: str, user: str, password: str,
         target_user: Optional[str] = None, target_password: Optional[str] = None) -> None:
    """Credentials of one discovered record; with `target_user` the target has to prove itself too."""
    settings = {"authmethod": "CHAP", "username": user, "password": password}
    if target_user is not None:
        settings.update(username_in=target_user, password_in=target_password or "")
    for name, value in settings.items():
        host.run(f"iscsiadm -m node -T {iqn} -p {portal} -o update -n node.session.auth.{name} -v '{value}'")


def discover(host: Node, portal: str, iface: str = "default") -> List[Tuple[str, str]]:
    """SendTargets at `portal` ("10.77.0.1:3260"); returns (iqn, portal) of what is offered. `iface`: default (TCP) or iser."""
    text = host.out(f"iscsiadm -m discovery -t st -p {portal} -I {iface}", timeout_s=120)
    return [(m.group(2), m.group(1)) for m in re.finditer(r"^(\S+?),\d+ (\S+)$", text, re.M)]


LOGIN_TIMED_OUT = 8  # ISCSI_ERR_TRANS_TIMEOUT
WEDGED_MAX = 3


def wait_listening(node: Node) -> None:
    """Until no login thread of its target waits for what a wedged initiator does not send: 15 s for each of its connections, one after the
    other, and a new session would wait behind them."""
    look = "for p in $(pgrep '^iscsi_np$'); do cat /proc/$p/stack; done | grep -c get_login_rx"
    seen = {"free": 0}

    def is_free():
        seen["free"] = seen["free"] + 1 if node.run(look, check=False).out.strip() == "0" else 0
        return seen["free"] == 3  # in a row: between two of them it is free for a moment
    wait_until(is_free, 180, f"{node.name} to have done with wedged logins", 1)


def login(host: Node, iqn: str, portal: str, iface: str = "default", timeout_s: float = 120) -> None:
    """Logs in to one portal; makes the record if no discovery has.

    The initiator of Linux 6.1 may wedge the first login of a session ("Login/Text in progress. Cannot start new task", open-iscsi's issue
    424: a reference to the login task is lost, iSER under emulation shows it). It never comes back from that; a new session does,
    which may wedge again.
    """
    record = f"-m node -T {iqn} -p {portal} -I {iface}"
    host.run(f"iscsiadm {record} >/dev/null 2>&1 || iscsiadm {record} -o new >/dev/null", timeout_s=timeout_s)
    for _ in range(WEDGED_MAX):
        since = host.out("cut -d' ' -f1 /proc/uptime")
        done = host.run(f"iscsiadm {record} -l", check=False, timeout_s=timeout_s)
        if done.code != LOGIN_TIMED_OUT or "Login/Text in progress" not in host.out(f"dmesg | awk -F'[][]' '$2 + 0 > {since}'"):
            break
        host.run(f"echo 'lab: the initiator of {portal} has wedged, trying a new session' >/dev/kmsg")
        for node in host.lab.nodes.values():
            if portal.startswith(f"{node.san_address}:"):
                wait_listening(node)
    if done.code:
        raise CommandFailed(host.name, f"iscsiadm {record} -l", done)


def logout_all(host: Node) -> None:
    host.run("iscsiadm -m node -u; iscsiadm -m node -o delete", check=False, timeout_s=120)


def sessions(host: Node) -> List[str]:
    """Lines of `iscsiadm -m session`: transport, number, portal, target."""
    return host.run("iscsiadm -m session", check=False).out.splitlines()


def wwid(serial: str) -> str:
    """The multipath name of a LIO volume: NAA 6, LIO's company id, then the first 25 hex digits of the serial."""
    digits = re.sub(r"[^0-9a-fA-F]", "", serial).lower()
    return "36001405" + digits[:25].ljust(25, "0")


def paths(host: Node, name: str) -> dict:
    """State of each path of a multipath map, by SCSI device ("sda" -> "active ready running"); {} without map."""
    text = host.run("multipathd show paths raw format '%m|%d|%t %T %o'", check=False).out
    return {dev: state for m, dev, state in (line.split("|", 2) for line in text.splitlines() if line.count("|") == 2)
            if m == name}


def wait_map(host: Node, serial: str, n_paths: int = 1, deadline_s: float = 120) -> str:
    """Waits for the multipath map of a volume with `n_paths` paths; returns its device."""
    name = wwid(serial)

    def complete():
        return host.run(f"test -b /dev/mapper/{name}", check=False).code == 0 and len(paths(host, name)) >= n_paths
    wait_until(complete, deadline_s, f"multipath map {name} with {n_paths} paths", 0.5,
               explain=lambda: host.run("multipath -ll; iscsiadm -m session", check=False).out)
    return f"/dev/mapper/{name}"
