#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command against a daemon that only talks (test_cli_server): what is asked, what is shown, exit codes; man page and
completion against the verb table. Run as a program it is pytest with TAP lines, which tests/run-unit counts.

ACCEPT=1 rewrites the expected texts of tests/unit/test_cli_status; read the difference before you commit it.
"""
import json
import os
import pty
import re
import select
import subprocess
import time

import pytest
import tap

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build/gcc"))
LUNWARD = os.path.join(BUILD, "lunward")
STATES = os.path.join(HERE, "test_cli_status")
MAN = os.path.join(ROOT, "docs/man/lunward.8.scd")
COMPLETION = os.path.join(ROOT, "agent/cli/completion/lunward")
LIMIT_S = 120


def state(name):
    with open(os.path.join(STATES, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


class Fake:
    """The talking daemon, and the command pointed at it."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.socket = os.path.join(self.folder, "control")
        self.process = None

    def start(self, **answers):
        path = os.path.join(self.folder, "answers.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({k.replace("_", "-"): v for k, v in answers.items()}, f)
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/unit/test_cli_server"), self.socket, path],
                                        stdout=subprocess.PIPE, text=True)
        assert json.loads(self.process.stdout.readline()) == {"ready": True}
        return self

    def request(self):
        """The next request that the daemon got."""
        return json.loads(self.process.stdout.readline())

    def environ(self, **extra):
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm", **extra}

    def run(self, *args, stdin=""):
        return subprocess.run([LUNWARD, "--socket", self.socket, *args], input=stdin, capture_output=True, text=True,
                              timeout=LIMIT_S, env=self.environ(), check=False)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture
def fake(tmp_path):
    made = Fake(tmp_path)
    yield made
    made.close()


# --- status ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(f[:-5] for f in os.listdir(STATES) if f.endswith(".json")))
def test_status_text(fake, name):
    done = fake.start(status={"result": state(name)}).run("status")
    expected_path = os.path.join(STATES, name + ".txt")
    if os.environ.get("ACCEPT"):
        with open(expected_path, "w", encoding="utf-8") as f:
            f.write(done.stdout)
    with open(expected_path, encoding="utf-8") as f:
        assert done.stdout == f.read()
    assert done.returncode == 0 and done.stderr == ""
    assert re.match(r"(OK|DEGRADED|DOWN): ", done.stdout)
    for line in done.stdout.splitlines():
        assert len(line) <= 80 or " " not in line.strip(), line
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", line)


def test_status_json_is_what_the_daemon_said(fake):
    done = fake.start(status={"result": state("healthy")}).run("status", "--format", "json")
    assert json.loads(done.stdout) == state("healthy")


def test_watch_shows_each_update_until_the_daemon_ends(fake):
    fake.start(watch={"updates": [state("healthy")], "hangup": True})
    done = fake.run("status", "--watch")
    assert done.stdout.count("OK: ") == 1
    assert done.returncode == 3 and "hung up" in done.stderr


def test_watch_as_json_is_a_line_each(fake):
    fake.start(watch={"updates": [state("healthy")], "result": {}})
    done = fake.run("--format", "json", "status", "--watch")
    assert [json.loads(line)["node"] for line in done.stdout.splitlines()] == ["n1"]
    assert done.returncode == 0


def on_terminal(fake, args, until, say=None, **env):
    """Runs the command on a terminal; returns what it showed when `until` appeared or it ended, and its exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(LUNWARD, [LUNWARD, "--socket", fake.socket, *args], fake.environ(**env))
    shown, end = "", time.monotonic() + LIMIT_S
    ended = False
    while not ended and not (until and until in shown):
        assert select.select([fd], [], [], max(0, end - time.monotonic()))[0], shown
        try:
            data = os.read(fd, 65536).decode()
        except OSError:  # EIO: the other side is closed
            data = ""
        ended = not data
        shown += data
        if say and say[0] in shown:
            os.write(fd, say[1].encode())
            say = None
    if not ended:
        os.kill(pid, 15)
    os.close(fd)
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_colour_only_on_a_terminal_that_wants_it(fake):
    fake.start(status={"result": state("fencing-failing")})
    assert "\033[31;1mDOWN:\033[0m" in on_terminal(fake, ["status"], None)[0]
    assert "\033" not in on_terminal(fake, ["status"], None, NO_COLOR="1")[0]
    assert "\033" in on_terminal(fake, ["status"], None, NO_COLOR="")[0]
    assert "\033" not in on_terminal(fake, ["status"], None, TERM="dumb")[0]


def test_watch_on_a_terminal_redraws_and_outlives_the_daemon(fake):
    fake.start(watch={"updates": [state("healthy")], "hangup": True})
    shown, _ = on_terminal(fake, ["status", "--watch"], "trying again")
    assert "\033[H\033[2J" in shown and "OK:" in shown


# --- what is asked, exit codes ---------------------------------------------------------------------------------------------

def test_apply(fake, tmp_path):
    document = tmp_path / "doc.json"
    document.write_text('{"cluster": "ü"}', encoding="utf-8")
    fake.start(apply={"progress": ["waiting for n2"], "result": {"changes": ["+ volume v1"], "config_version": 4, "applied": True}})
    done = fake.run("apply", str(document))
    assert fake.request() == {"command": "apply", "args": {"document": '{"cluster": "ü"}', "dry_run": False, "wait": True}}
    assert done.stdout == "+ volume v1\nconfiguration 4 is in force\n"
    assert done.stderr == "apply: waiting for n2\n"
    assert done.returncode == 0
    done = fake.run("apply", "-", "--dry-run", "--no-wait", stdin="{}")
    assert fake.request()["args"] == {"document": "{}", "dry_run": True, "wait": False}
    assert done.stdout == "+ volume v1\nnothing was changed (--dry-run)\n"


def test_apply_of_what_cannot_be_read(fake, tmp_path):
    fake.start()
    done = fake.run("apply", str(tmp_path / "none"))
    assert done.returncode == 4
    assert done.stderr == f"lunward: apply: {tmp_path}/none: No such file or directory\n"
    (tmp_path / "latin1").write_bytes(b'{"a": "\xfc"}')
    done = fake.run("apply", str(tmp_path / "latin1"))
    assert (done.returncode, done.stderr) == (4, f"lunward: apply: {tmp_path}/latin1: is not UTF-8 text\n")


@pytest.mark.parametrize("errno,exit_status", [(22, 4), (2, 4), (95, 4), (13, 5), (1, 5), (107, 3), (11, 3), (110, 6), (16, 1),
                                               (5, 1)])
def test_errors_and_exit_codes(fake, errno, exit_status):
    fake.start(apply={"error": [errno, "groups.g1.nodes[1]: no node n9"]})
    done = fake.run("apply", "-", stdin="{}")
    assert done.stderr == "lunward: apply: groups.g1.nodes[1]: no node n9\n"
    assert done.stdout == ""
    assert done.returncode == exit_status
    done = fake.run("apply", "-", "--format=json", stdin="{}")
    assert json.loads(done.stdout)["error"]["errno"] == errno
    assert done.returncode == exit_status


def test_no_daemon(fake):
    done = fake.run("status")
    assert done.returncode == 3
    assert "lunwardd does not run here" in done.stderr and "systemctl start lunwardd" in done.stderr


def test_timeout(fake):
    fake.start(move={"hang": True})
    done = fake.run("move", "g1", "n2", "--timeout", "1")
    assert done.returncode == 6 and "has not answered in time" in done.stderr


def test_move_release_version_check_config(fake):
    fake.start(version={"result": {"version": "9.9"}}, config_show={"result": {"config_version": 3, "document": {"a": 1}}},
               check={"result": {"steps": ["write x"], "writes": 1, "objects": 5}})
    assert fake.run("move", "g1", "n2").stdout == "g1 is served by n2\n"
    assert fake.request() == {"command": "move", "args": {"group": "g1", "node": "n2"}}
    assert fake.run("release", "g1").returncode == 0
    assert fake.request() == {"command": "release", "args": {"group": "g1"}}
    assert "lunwardd 9.9" in fake.run("version").stdout
    assert fake.request()["command"] == "version"
    assert json.loads(fake.run("config", "show", "--secrets").stdout) == {"a": 1}
    assert fake.request() == {"command": "config-show", "args": {"secrets": True}}
    done = fake.run("check")
    assert done.returncode == 1 and done.stdout.startswith("write x\n1 steps")


def test_did_you_mean_a_name(fake):
    fake.start(move={"error": [2, "no group"]}, status={"result": state("healthy")})
    assert "did you mean databases?" in fake.run("move", "databsaes", "n1").stderr
    assert "did you mean" not in fake.run("move", "g1", "n1").stderr


def test_maintenance(fake):
    fake.start(maintenance={"progress": ["2 groups to go"], "result": {}})
    done = fake.run("node", "maintenance", "n1", "on")
    assert done.returncode == 0 and done.stdout == "n1 serves nothing and gets nothing\n" and "2 groups to go" in done.stderr
    assert fake.request() == {"command": "maintenance", "args": {"node": "n1", "state": "on"}}
    assert fake.run("node", "maintenance", "n1", "off").returncode == 0
    assert fake.request() == {"command": "maintenance", "args": {"node": "n1", "state": "off"}}


def test_confirm_down(fake):
    fake.start(confirm_down={"result": {}}, status={"result": state("fencing-failing")})
    done = fake.run("node", "confirm-down", "n1")
    assert done.returncode == 2 and "--yes" in done.stderr
    done = fake.run("node", "confirm-down", "n1", "--yes")
    assert done.returncode == 0
    assert fake.request() == {"command": "confirm-down", "args": {"node": "n1"}}  # and nothing before it
    shown, status = on_terminal(fake, ["node", "confirm-down", "n1"], None, say=("Type the name", "y\n"))
    assert status == 1 and "DATA IS LOST" in shown and "(g1)" in shown
    assert fake.request()["command"] == "status"
    shown, status = on_terminal(fake, ["node", "confirm-down", "n1"], None, say=("Type the name", "n1\n"))
    assert status == 0
    assert [fake.request()["command"] for _ in range(2)] == ["status", "confirm-down"]


SESSION = {
    "host": "web1", "initiator": "iqn.1993-08.org.debian:web1", "alias": "web1.example.org", "target": "iqn.2026-01.org.example:t1",
    "portal_group": 1, "port_of": "n1", "portals": ["10.77.0.1:3260", "[fd00::1]:3260"], "session_id": 7, "isid": "00023d00000a", "tsih": 3,
    "state": "LOGGED_IN", "seen_since_ms": 1795291200000,
    "connections": [{"cid": 0, "state": "LOGGED_IN", "address": "10.77.0.9", "transport": "tcp"}],
    "parameters": {"MaxBurstLength": 262144, "InitialR2T": 0}, "counters": {"conn_digest_errors": 0, "conn_timeout_errors": 0},
    "digests_offered": {"header": "CRC32C,None", "data": "CRC32C,None"},
    "luns": [{"volume": "v1", "lun": 0, "commands": 1200, "read_mib": 34, "written_mib": 56}]}
SESSIONS = {"node": "n1", "sessions": [SESSION], "targets": [{"target": SESSION["target"], "sessions": 1, "shown": 1}],
            "volumes": [{"volume": "v1", "group": "g1", "commands": 1300, "read_mib": 35, "written_mib": 57, "resets": 2}]}


def test_session_list(fake):
    fake.start(session_list={"result": SESSIONS})
    done = fake.run("session", "list")
    assert fake.request() == {"command": "session-list", "args": {}}
    assert done.returncode == 0 and done.stderr == ""
    for said in ("web1 iqn.1993-08.org.debian:web1, alias web1.example.org", "port of n1", "ISID 00023d00000a",
                 "connection 0 from 10.77.0.9 over TCP", "seen since 2026-1", "MaxBurstLength 262144", "digests offered: header CRC32C,None",
                 "LUN volume commands MiB read MiB written 0 v1 1200 34 56",
                 "volume commands MiB read MiB written resets v1 1300 35 57 2"):
        assert said in " ".join(done.stdout.split()), said
    assert "Not shown" not in done.stdout and all(len(line) <= 80 for line in done.stdout.splitlines())
    assert json.loads(fake.run("session", "list", "--format", "json").stdout) == SESSIONS
    assert fake.request()["args"] == {}
    fake.run("session", "list", "--host", "web1", "--volume", "v1")
    assert fake.request() == {"command": "session-list", "args": {"host": "web1", "volume": "v1"}}


def test_session_list_says_what_is_not_shown_and_what_is_amiss(fake):
    failed = {**SESSION, "host": None, "alias": "a\x1b[2J", "state": "FAILED", "connections": [], "counters": {"conn_digest_errors": 4}, "parameters": {}}
    iser = {**SESSION, "connections": [{"cid": 1, "state": "IN_LOGOUT", "address": "10.77.0.9", "transport": "iser"}]}
    fake.start(session_list={"results": [
        {**SESSIONS, "sessions": [failed, iser], "targets": [{"target": SESSION["target"], "sessions": 4, "shown": 2}]},
        {"node": "n1", "sessions": [], "targets": [], "volumes": []}]})
    shown = " ".join(fake.run("session", "list").stdout.split())
    for said in ("no host of the document", "FAILED", "no connection", "4 digests, 0 timeouts", "over iSER, IN_LOGOUT",
                 "has 4 sessions, of which the kernel shows 2"):
        assert said in shown, said
    assert "\x1b" not in shown
    assert fake.run("session", "list").stdout == "No session with n1\n"


def test_session_drop(fake):
    fake.start(session_drop={"results": [{"host": "web1", "dropped": 2}, {"host": "web1", "dropped": 1}]})
    done = fake.run("session", "drop", "web1")
    assert done.returncode == 2 and "--yes" in done.stderr
    done = fake.run("session", "drop", "web1", "--yes", "--target", "iqn.x")
    assert (done.returncode, done.stdout) == (0, "web1: 2 sessions dropped\n")
    assert fake.request() == {"command": "session-drop", "args": {"host": "web1", "target": "iqn.x"}}  # and nothing before it
    shown, status = on_terminal(fake, ["session", "drop", "web1"], None, say=("Type its name", "y\n"))
    assert status == 1 and "nothing was done" in shown
    shown, status = on_terminal(fake, ["session", "drop", "web1"], None, say=("Type its name", "web1\n"))
    assert status == 0 and "web1: 1 session dropped" in shown
    assert fake.request() == {"command": "session-drop", "args": {"host": "web1"}}
    fake.close()
    fake.start(session_drop={"error": [93, "web1 is logged in over iSER"]})
    done = fake.run("session", "drop", "web1", "--yes")
    assert done.returncode == 1 and done.stderr == "lunward: session drop: web1 is logged in over iSER\n"


@pytest.mark.parametrize("args,said", [
    ([], "what to do?"), (["stauts"], "did you mean `lunward status`?"), (["config"], "`lunward config show`"),
    (["confirm-down", "n1"], "`lunward node confirm-down`"), (["--dryrun"], "`--dry-run`"),
    (["status", "--dry-run"], "does not go with this verb"), (["move", "g1"], "too few"), (["move", "a", "b", "c"], "too many"),
    (["status", "--time", "5"], "there is no option --time"), (["status", "--watch=1"], "takes no value"),
    (["status", "--timeout"], "needs a value"), (["status", "--timeout", "1x"], "number of seconds"),
    (["status", "--format", "xml"], "text or json"), (["help", "nonsense"], "no verb"), (["-q"], "no option -q"),
])
def test_usage_errors(fake, args, said):
    done = fake.run(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


# --- help, man page, completion --------------------------------------------------------------------------------------------

def tables():
    return json.loads(subprocess.run([LUNWARD, "help", "--format", "json"], capture_output=True, check=True).stdout)


def test_help_names_everything():
    text = subprocess.run([LUNWARD, "help"], capture_output=True, text=True, check=True).stdout
    for verb in tables()["verbs"]:
        assert verb["summary"] in text
        own = subprocess.run([LUNWARD, "help", *verb["name"].split()], capture_output=True, text=True, check=True).stdout
        assert own.startswith(f"Usage: lunward {verb['name']}")
        assert set(re.findall(r"^  --([a-z-]+)", own, re.M)) == {"format", "socket", *verb["options"]}
    assert set(re.findall(r"^  --([a-z-]+)", text, re.M)) == set(tables()["options"])


def section(text, title):
    return re.search(rf"^# {title}\n(.*?)(?=^# |\Z)", text, re.M | re.S).group(1)


def test_man_page_agrees_with_the_tables():
    with open(MAN, encoding="utf-8") as f:
        man = f.read()
    said = {}
    for head in re.findall(r"^\*.*$", section(man, "VERBS"), re.M):
        plain = re.sub(r"[*_]|\\(?=.)", "", head)
        words = [w for w in plain.split() if not w.startswith("[--") and not w.endswith("]") or w in ("[VERB]", "[GROUP]")]
        name = " ".join(w for w in words if w.islower())
        said[name] = (" ".join(w for w in words if not w.islower()), set(re.findall(r"--([a-z-]+)", plain)))
    assert said == {v["name"]: (v["args"], set(v["options"]) - {"timeout"}) for v in tables()["verbs"]}
    options = dict(re.findall(r"^\*--([a-z-]+)\*(?: _(\S+)_)?$", section(man, "OPTIONS"), re.M))
    assert options == {name: o["arg"] or "" for name, o in tables()["options"].items()}
    exits = dict(re.findall(r"^\*(\d)\*\n\t(.*)$", section(man, "EXIT STATUS"), re.M))
    assert set(exits) == set(tables()["exits"])


def test_man_page_is_scdoc():
    with open(MAN, "rb") as f:
        done = subprocess.run(["scdoc"], stdin=f, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def complete(fake, line):
    """What bash would offer at the end of `line`."""
    script = ('. "$1"; COMP_LINE=$2; read -ra COMP_WORDS <<<"$2"; [[ $2 == *" " ]] && COMP_WORDS+=("")\n'
              'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_POINT=${#COMP_LINE}\n'
              '_lunward lunward "${COMP_WORDS[COMP_CWORD]}" ""; printf "%s\\n" "${COMPREPLY[@]}"')
    path = os.path.dirname(LUNWARD) + ":" + os.environ["PATH"]
    done = subprocess.run(["bash", "--norc", "-ec", script, "bash", COMPLETION, line], capture_output=True, text=True,
                          env=fake.environ(PATH=path), check=False, timeout=LIMIT_S)
    assert done.returncode == 0 and done.stderr == ""
    return sorted(w.strip() for w in done.stdout.split("\n") if w.strip())


def plain_document():
    with open(os.path.join(ROOT, "tests/exchange-cases/plain.json"), encoding="utf-8") as f:
        return json.load(f)


def test_export_and_host_show_use_the_document_in_force(fake):
    document = plain_document()
    fake.start(config_show={"result": {"config_version": 3, "document": document}}, status={"result": {"node": "n1"}})
    done = fake.run("export", "--format", "targetcli")
    assert done.returncode == 0 and len(json.loads(done.stdout)["storage_objects"]) == 3
    assert fake.request() == {"command": "config-show", "args": {"secrets": True}}
    assert fake.request()["command"] == "status"
    done = fake.run("host", "show", "esx1-4f2a")
    assert done.returncode == 0 and "VMW_SATP_ALUA" in done.stdout
    assert fake.request() == {"command": "config-show", "args": {"secrets": False}}


def test_nothing_in_force_is_said(fake):
    fake.start(config_show={"result": {"config_version": 0, "document": None}})
    done = fake.run("export")
    assert done.returncode == 4 and "no document yet" in done.stderr


def test_completion(fake, tmp_path):
    fake.start(status={"result": state("healthy")}, config_show={"result": {"document": plain_document()}})
    t = tables()
    at = f"lunward --socket {fake.socket} "
    assert complete(fake, "lunward ") == sorted({v["name"].split()[0] for v in t["verbs"]})
    assert complete(fake, "lunward co") == ["config"]
    assert complete(fake, "lunward config ") == ["show"]
    for verb in t["verbs"]:
        common = {"--format", "--socket", "--help", "--version"}
        assert set(complete(fake, f"lunward {verb['name']} --")) == common | {f"--{o}" for o in verb["options"]}, verb
    assert complete(fake, "lunward --form") == ["--format"]
    assert complete(fake, "lunward status --format ") == ["json", "text"]
    assert complete(fake, at + "move ") == ["databases", "g1"]
    assert complete(fake, at + "move g1 ") == ["n1", "n2", "witness"]
    assert complete(fake, at + "move g1 w") == ["witness"]
    assert complete(fake, at + "move g1 n1 ") == []
    assert complete(fake, at + "release d") == ["databases"]
    assert complete(fake, at + "node confirm-down ") == ["n1", "n2", "witness"]
    assert complete(fake, at + "--timeout 5 node confirm-down n2") == ["n2"]
    assert complete(fake, "lunward help n") == ["node"]
    assert complete(fake, "lunward help node ") == ["confirm-down", "maintenance"]
    assert complete(fake, at + "node maintenance ") == ["n1", "n2", "witness"]
    assert complete(fake, at + "node maintenance n2 ") == ["off", "on", "until-restart"]
    assert complete(fake, "lunward export --format ") == ["json", "targetcli", "text"]
    assert complete(fake, at + "export --node w") == ["witness"]
    assert complete(fake, at + "host show w") == ["web1", "win1.corp.example.org"]
    assert complete(fake, at + "session drop w") == ["web1", "win1.corp.example.org"]
    assert complete(fake, "lunward session ") == ["drop", "list"]
    assert complete(fake, at + "session list --host we") == ["web1"]
    assert complete(fake, at + "session list --volume ") == sorted(plain_document()["volumes"])
    assert complete(fake, at + "session drop web1 --target ") == sorted(plain_document()["targets"])
    (tmp_path / "doc one.json").write_text("{}")
    assert complete(fake, f"lunward apply {tmp_path}/doc") == [f"{tmp_path}/doc one.json"]
    fake.close()
    assert complete(fake, at + "move ") == []  # no daemon: nothing to offer, and no noise


if __name__ == "__main__":
    tap.main(__file__)
