# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: real machines (QEMU), a real cluster, and hands to break them.

    image.py        the guest image: built once per change, found by hash
    vm.py           what a VM is: its disks, networks and QEMU command line (pure)
    supervisor.py   the process that owns the QEMUs, the switch and the fence device
    api.py          Lab and Node: what tests use
    cluster.py      Corosync, LVM, DRBD on the nodes
    host.py         iSCSI, iSER and multipath on the host h1
    wait.py         wait_until()
    acklog.py       oracle over the log of acknowledged writes
    probe.py        oracle over the log of path-probe
"""
