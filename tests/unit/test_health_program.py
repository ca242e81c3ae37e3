#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lunward-health with libiscsi and all, against an iSCSI target of the few PDUs it needs (RFC 7143): CHAP, four commands, logout."""
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading
import types

import pytest
import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build/gcc"))
TARGET, INITIATOR = "iqn.2026-11.org.example:t1", "iqn.2026-11.org.lunward:health"
NAA = "6001405" + "a" * 25
BLOCK_SIZE = 512
LOGIN, COMMAND, LOGOUT = 0x03, 0x01, 0x06
STANDBY, READ_FAILS = (2, 0x04, 0x0b), (2, 0x08, 0x00)


class Target:
    """One connection after the other. `answers`: CDB's first byte -> bytes, sense (key, ASC, ASCQ) or None: never."""

    def __init__(self, secret="sesame", answers=None):
        self.secret, self.seen, self.logouts = secret, [], 0
        page = bytes.fromhex("01030010" + NAA)
        self.answers = {0x00: b"", 0x12: struct.pack(">BBH", 0, 0x83, len(page)) + page, 0x88: bytes(BLOCK_SIZE),
                        0xa3: struct.pack(">IBBHIHH", 12, 0x00, 0, 1, 1, 0, 1)} | (answers or {})
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.portal = "127.0.0.1:%u" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self.talk(connection)
                except (ConnectionError, EOFError):
                    pass

    @staticmethod
    def read(connection, size):
        data = b""
        while len(data) < size:
            got = connection.recv(size - len(data))
            if not got:
                raise EOFError
            data += got
        return data

    def reply(self, connection, request, opcode, flags, data=b"", status=b"\0\0", lead=b"\0\0", tail=b""):
        self.stat_sn += 1
        sn = struct.unpack(">I", request[24:28])[0] + (not request[0] & 0x40)
        head = (bytes([opcode, flags]) + lead + struct.pack(">I", len(data)) + request[8:16] + request[16:20] + b"\xff" * 4 +
                struct.pack(">III", self.stat_sn, sn, sn + 16) + (tail or status + bytes(10)))
        assert len(head) == 48, len(head)
        connection.sendall(head + data + bytes(-len(data) % 4))

    def talk(self, connection):
        self.stat_sn = 0
        while True:
            request = self.read(connection, 48)
            size = int.from_bytes(request[5:8], "big")
            data = self.read(connection, size + -size % 4)[:size]
            opcode = request[0] & 0x3f
            if opcode == LOGIN:
                self.log_in(connection, request, dict(p.split("=", 1) for p in data.decode().split("\0") if p))
            elif opcode == COMMAND:
                self.execute(connection, request)
            elif opcode == LOGOUT:
                self.logouts += 1
                self.reply(connection, request, 0x26, 0x80)
                return

    def log_in(self, connection, request, keys):
        def say(flags, *pairs, status=b"\0\0"):
            self.reply(connection, request[:14] + b"\0\1" + request[16:], 0x23, flags, "".join(f"{p}\0" for p in pairs).encode(), status)

        if "AuthMethod" in keys:
            assert keys["InitiatorName"] == INITIATOR and keys["TargetName"] == TARGET
            say(0x00, "AuthMethod=CHAP", "TargetPortalGroupTag=1")
        elif "CHAP_A" in keys:
            say(0x00, "CHAP_A=5", "CHAP_I=7", "CHAP_C=0x" + "5a" * 16)
        elif "CHAP_R" in keys:
            want = hashlib.md5(b"\x07" + self.secret.encode() + b"\x5a" * 16).hexdigest()
            if keys["CHAP_N"] == "health" and keys["CHAP_R"].lower() == "0x" + want:
                say(0x81)
            else:
                say(0x00, status=b"\2\1")
        else:
            say(0x87, "HeaderDigest=None", "DataDigest=None")

    def execute(self, connection, request):
        cdb = request[32:48]
        lun = int.from_bytes(request[8:10], "big")
        self.seen.append((lun, cdb[0], cdb))
        answer = self.answers[cdb[0]]
        if answer is None:
            return
        if isinstance(answer, tuple):
            key, asc, ascq = answer
            sense = bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0])
            self.reply(connection, request, 0x21, 0x80, struct.pack(">H", len(sense)) + sense, lead=b"\0\2", tail=bytes(12))
            return
        expected = struct.unpack(">I", request[20:24])[0]
        under = expected - len(answer)
        flags = 0x80 | (0x02 if under else 0)
        if answer:
            self.reply(connection, request, 0x25, flags | 0x01, answer, tail=struct.pack(">III", 0, 0, under))
        else:
            self.reply(connection, request, 0x21, flags, tail=struct.pack(">III", 0, 0, under))

    def close(self):
        self.listener.close()


@pytest.fixture
def make():
    made = []

    def one(**options):
        made.append(Target(**options))
        return made[-1]
    yield one
    for target in made:
        target.close()


def look(*targets, state=0, block=True, luns=(300,)):
    """[result of the portal, text, [(result, text) of each LUN]] of each target."""
    lun = {"naa": NAA, "port_group": 1, "state": state} | ({"block": 1 << 33, "block_size": BLOCK_SIZE} if block else {})
    task = {"initiator": INITIATOR, "user": "health", "password": "sesame", "limit_ms": 8000,
            "looks": [{"portal": t.portal, "target": TARGET, "luns": [{"lun": n} | lun for n in luns]} for t in targets]}
    done = subprocess.run([os.path.join(BUILD, "lunward-health")], input=json.dumps(task), capture_output=True, text=True, timeout=60, check=True)
    return [[each["result"], each["text"], [(n["result"], n["text"]) for n in each["luns"]]] for each in json.loads(done.stdout)["looks"]]


def test_logs_in_asks_and_leaves(make):
    target = make()
    assert look(target, luns=(300, 1)) == [["good", "", [("good", "")] * 2]]
    assert [(lun, op) for lun, op, _ in target.seen] == [(lun, op) for lun in (300, 1) for op in (0x00, 0x12, 0xa3, 0x88)]
    assert target.seen[3][2][2:14] == struct.pack(">QI", 1 << 33, 1)
    assert target.logouts == 1


def test_sense_arrives(make):
    assert look(make(answers={0x88: READ_FAILS})) == [["good", "", [("read", "READ: CHECK CONDITION 02/08/00")]]]
    standby = make(answers={0x00: STANDBY, 0xa3: struct.pack(">IBBHIHH", 12, 0x02, 0, 1, 1, 0, 1)})
    assert look(standby, state=2, block=False) == [["good", "", [("good", "")]]]


def test_another_secret_is_refused_and_the_next_portal_still_looked_at(make):
    (first, text, luns), second = look(make(secret="another"), make())
    assert (first, luns) == ("login", [("unknown", "")]) and "sesame" not in text and "\n" not in text and text.startswith("no login: ")
    assert second == ["good", "", [("good", "")]]


def test_who_does_not_answer_is_left(make):
    hangs = make(answers={0x88: None})
    assert look(hangs, make(), luns=(1, 2)) == [["good", "", [("silent", "READ: no answer"), ("unknown", "")]], ["good", "", [("good", "")] * 2]]
    assert hangs.logouts == 0


def test_nobody_there(make):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        nobody = types.SimpleNamespace(portal="127.0.0.1:%u" % s.getsockname()[1])
        result = look(nobody)
    assert result == [["login", "no connection: refused, or closed by the target", [("unknown", "")]]]


if __name__ == "__main__":
    tap.main(__file__)
