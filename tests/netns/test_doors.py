# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in for a node's kernel lives longer than who asks it."""
import json
import os
import socket
import subprocess


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
