# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in for a node's kernel lives longer than who asks it."""
import json
import os
import socket
import subprocess

from netns_cluster import wait_until
from world import WATCHDOG, World


def ask(path, n_answers):
    """Asks, and reads so many answers before it goes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(json.dumps({"op": "exists", "path": "/sys/kernel/config/target/core", "arg": ""}).encode() + b"\n")
        return [json.loads(s.makefile().readline()) for _ in range(n_answers)]


def test_configfs_outlives_its_askers(tmp_path, build_dir):
    path = str(tmp_path / "socket")
    with subprocess.Popen([os.path.join(build_dir, "tests/netns/configfs-server"), path], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            for _ in range(200):
                ask(path, 0)  # as an agent that is killed
            assert ask(path, 1) == [{"rc": 0}]
            assert server.poll() is None
        finally:
            server.kill()


def test_watchdog_is_no_kinder_than_the_kernels(tmp_path, build_dir):
    world = World(tmp_path, ["n1"], lambda a, b: True, lambda name: None, lambda name, resource: 0)
    try:
        world.power_on("n1")
        env = dict(os.environ, LUNWARD_NETNS_WORLD=world.socket, LUNWARD_NETNS_NODE="n1")
        done = subprocess.run([os.path.join(build_dir, "tests/netns/watchdog-contract"), WATCHDOG, "ticking"], env=env, capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        assert not world.bitten
        wait_until(lambda: world.bitten == ["n1"], 30, "it bites")
        assert not world.machines["n1"].on
    finally:
        world.close()
