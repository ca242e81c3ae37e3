#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""import, export and host show: whole configurations of targetcli and SCST against the documents and notes expected of them
(tests/exchange-cases: NAME.in, NAME.args, maybe NAME.base; expected are NAME.json and NAME.notes), what rtslib makes of an export,
and that the Ansible role and `host show` say the same. Run as a program it is pytest with TAP lines, which tests/run-unit counts.

ACCEPT=1 rewrites what is expected; read the difference before you commit it.
"""
import json
import os
import re
import shlex
import stat
import subprocess

import pytest
import tap

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build/gcc"))
LUNWARD = os.path.join(BUILD, "lunward")
CASES = os.path.join(ROOT, "tests/exchange-cases")
ROLE = os.path.join(ROOT, "ansible/roles/host")
SECRETS = ("correct-horse-1", "battery-staple-2", "never-show-this", "other-password-1", "the-very-same-one")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def lunward(*args, stdin=""):
    return subprocess.run([LUNWARD, "--socket", "/nonexistent/control", *args], input=stdin, capture_output=True, text=True, timeout=120,
                          check=False)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def case_args(name):
    args = [os.path.join(CASES, name + ".in"), *shlex.split(read(os.path.join(CASES, name + ".args")))]
    base = os.path.join(CASES, name + ".base")
    return args + (["--document", base] if os.path.exists(base) else [])


def expect(name, text):
    path = os.path.join(CASES, name)
    if os.environ.get("ACCEPT"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    assert text == read(path)


NAMES = sorted(f[:-3] for f in os.listdir(CASES) if f.endswith(".in"))


# --- import ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_import(name):
    done = lunward("import", *case_args(name))
    source = read(os.path.join(CASES, name + ".in"))
    document = UUID.sub(lambda m: m[0] if m[0] in source else "ASSIGNED", done.stdout)
    expect(name + ".json", document)
    expect(name + ".notes", done.stderr.replace(CASES, "CASES"))
    assert done.returncode == (1 if done.stderr else 0)
    assert not any(s in done.stderr for s in SECRETS)


@pytest.mark.parametrize("name", ["plain", "parameters"])
def test_a_plain_configuration_loses_nothing(name):
    done = lunward("import", *case_args(name))
    assert done.returncode == 0 and done.stderr == ""


def test_what_is_imported_is_a_document_that_can_be_added_to(tmp_path):
    document = tmp_path / "doc.json"
    document.write_text(lunward("import", *case_args("plain")).stdout)
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    again = lunward("import", str(empty), "--document", str(document))
    assert again.returncode == 0 and again.stdout == document.read_text()


def test_output_is_for_its_owner_only(tmp_path):
    out = tmp_path / "doc.json"
    old = os.umask(0)
    try:
        done = lunward("import", *case_args("plain"), "--output", str(out))
    finally:
        os.umask(old)
    assert done.returncode == 0 and done.stdout == ""
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text() == read(os.path.join(CASES, "plain.json"))


def test_import_as_json():
    done = lunward("import", *case_args("losses"), "--format", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and done.stderr == ""
    assert {"object", "left_out", "text"} == set(answer["notes"][0])
    assert {"object": "/backstores/block/ro", "left_out": True,
            "text": "it is read-only, and hosts could write it afterwards"} in answer["notes"]
    assert answer["document"]["lunward"] == 1


@pytest.mark.parametrize("text,args,said", [
    ("{", [], "line 1, column"),
    ('{"storage_objects": {}}', [], "storage_objects: must be an array"),
    ('{"storage_objects": [{"plugin": "block"}]}', [], "storage_objects[0].name: missing"),
    ('{"storage_objects": [{"plugin": "block", "name": "a"}, {"plugin": "block", "name": "a"}]}', [],
     "storage_objects[1]: /backstores/block/a is there twice"),
    ('{"targets": [{"fabric": "iscsi", "wwn": "iqn.2026-11.org.example:t", "tpgs": [{"tag": 70000}]}]}', [],
     "targets[0].tpgs[0].tag: must be an integer from 0 to 65535"),
    ('{"targets": [{"fabric": "iscsi", "wwn": "iqn.2026-11.org.example:t", "tpgs": [{"tag": 1, "luns": [{"index": 0, '
     '"storage_object": "/backstores/block/x"}]}]}]}', [], "luns[0].storage_object: there is no such backstore"),
    ("[HANDLER vdisk]\n", [], "line 1: this is the format of SCST 1"),
    ("HANDLER vdisk_blockio {\n", [], "line 1: the block that begins here has no '}'"),
    ("a b {\n" * 9 + "}\n" * 9, [], "line 9: blocks more than 8 deep"),
    ("}\n", [], "line 1: '}' without a block that is open"),
    ("a\n\tb \"c\n", [], "line 2: a quotation mark without its other"),
    ("a \x01\n", [], "line 1: a byte that is not printable"),
    ("TARGET_DRIVER iscsi {\n TARGET iqn.2026-11.org.example:t {\n enabled 1\n GROUP g {\n LUN 0 none\n INITIATOR i\n }\n }\n}\n", [],
     "line 5: LUN: there is no DEVICE of this name before it"),
    ("{}", ["--map", "x=g"], 'the file has no backstore "x"'),
    ("{}", ["--map", "x"], "--map x: must be BACKSTORE=GROUP"),
    ("{}", ["--map", "x=g,1"], "--map x=g,1: the size: must be bytes"),
    ("{}", ["--map", "=g"], "--map =g: must be BACKSTORE=GROUP"),
    ("{}", ["--portal", "nonsense"], "--portal nonsense: must be a numeric"),
    ("{}", ["--portal", "10.77.0.1/24"], "needs @INTERFACE"),
    ("{}", ["--node", "Upper"], "which node is the file of?"),
    ("{}", ["--document", os.path.join(CASES, "added.base"), "--node", "n3"], 'no storage node "n3"'),
    ("{}", ["--document", os.path.join(CASES, "added.base")], "say --node NAME"),
])
def test_bad_input_is_refused_with_its_place(text, args, said):
    done = lunward("import", "-", *(args if "--document" in args or "--node" in args else ["--node", "n1", *args]), stdin=text)
    assert done.returncode == 4 and done.stdout == ""
    assert said in done.stderr and done.stderr.startswith("lunward: import: ")


@pytest.mark.parametrize("secrets, base, said", [
    ({"userid": "u", "password": "short"}, {}, "names or passwords that Lunward does not take"),
    ({"userid": "u"}, {}, "names or passwords that Lunward does not take"),
    ({"userid": "u", "password": SECRETS[0], "mutual_userid": "m", "mutual_password": SECRETS[0]}, {}, "that Lunward does not take"),
    ({"userid": "u", "password": SECRETS[0]}, {"discovery": {}}, "the document to add to says otherwise"),
    ({"userid": "u", "password": SECRETS[0]}, {"discovery": {"chap": {"user": "u", "password": SECRETS[0]}}}, None),
])
def test_discovery_is_taken_whole_or_noted(tmp_path, secrets, base, said):
    document = tmp_path / "base.json"
    document.write_text(json.dumps({"lunward": 1, "cluster": "c", "nodes": {"n1": {"id": 1}}, **base}))
    module = {"name": "iscsi", "discovery_enable_auth": True, **{f"discovery_{k}": v for k, v in secrets.items()}}
    done = lunward("import", "-", "--document", str(document), stdin=json.dumps({"fabric_modules": [module]}))
    assert json.loads(done.stdout).get("discovery") == base.get("discovery")
    assert (said in done.stderr and done.returncode == 1) if said else (done.stderr == "" and done.returncode == 0)
    assert not any(s in done.stderr for s in SECRETS)


# --- export ----------------------------------------------------------------------------------------------------------------

def kernel_defaults():
    """Attributes of Linux 6.1, as targetcli found and saved them: backstore, portal group and its parameters, ACL."""
    plain = json.loads(read(os.path.join(CASES, "plain.in")))
    tpg = plain["targets"][0]["tpgs"][0]
    disk = {**plain["storage_objects"][0]["attributes"], "emulate_model_alias": 0}
    return disk, {**tpg["attributes"], "authentication": 0}, tpg["parameters"], tpg["node_acls"][0]["attributes"]


DISK_ATTRIBUTES, TPG_ATTRIBUTES, TPG_PARAMETERS, ACL_ATTRIBUTES = kernel_defaults()
AUTH = "userid password userid_mutual password_mutual authenticate_target"


class Configfs:
    """As much of the kernel's tree as rtslib's loader needs: a folder that is made has the files that the kernel puts there."""

    CHILDREN = [
        (r"core/iblock_\d+/[^/]+", {"": "control udev_path", "wwn": "vpd_unit_serial", "alua": "", "attrib": DISK_ATTRIBUTES}),
        (r"iscsi/[^/]+/tpgt_\d+", {"auth": AUTH, "attrib": TPG_ATTRIBUTES, "param": TPG_PARAMETERS, "acls": "", "lun": "", "np": ""}),
        (r"iscsi/[^/]+/tpgt_\d+/acls/[^/]+", {"": "tag cmdsn_depth info", "auth": AUTH, "attrib": ACL_ATTRIBUTES}),
        (r"iscsi/[^/]+/tpgt_\d+/acls/[^/]+/lun_\d+", {"": "write_protect"}),
        (r"iscsi/[^/]+/tpgt_\d+/np/[^/]+", {"": "iser cxgbit"}),
        (r"iscsi/[^/]+/tpgt_\d+/lun/lun_\d+", {"": "alua_tg_pt_gp"}),
    ]

    def __init__(self, root):
        self.root = str(root)
        self.mkdir = os.mkdir
        for folder in ("core", "core/alua", "iscsi", "iscsi/discovery_auth"):
            self.mkdir(os.path.join(self.root, folder))
        for name in ("enforce_discovery_auth", *AUTH.split()):
            self.put(os.path.join(self.root, "iscsi/discovery_auth", name), "0" if name.startswith("enforce") else "")

    def make(self, path, mode=0o777):
        self.mkdir(path, mode)
        below = os.path.relpath(path, self.root)
        for pattern, children in self.CHILDREN:
            for folder, names in children.items() if re.fullmatch(pattern, below) else ():
                if folder:
                    self.mkdir(os.path.join(path, folder))
                for name, value in (names if isinstance(names, dict) else dict.fromkeys(names.split(), "")).items():
                    self.put(os.path.join(path, folder, name), str(value))
        if re.fullmatch(r"core/iblock_\d+/[^/]+|iscsi/[^/]+/tpgt_\d+", below):
            self.put(os.path.join(path, "enable"), "0")
        if re.fullmatch(r"core/iblock_\d+/[^/]+", below):
            self.put(os.path.join(path, "info"), "Status: DEACTIVATED readonly: 0")

    @staticmethod
    def put(path, text):
        if path.endswith("/vpd_unit_serial"):
            text = "T10 VPD Unit Serial Number: " + text
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


@pytest.fixture(name="rtslib")
def fixture_rtslib(tmp_path, monkeypatch):
    """rtslib as Debian has it, on a tree of its own."""
    import rtslib_fb  # pylint: disable=import-outside-toplevel
    from rtslib_fb import fabric, node, root, tcm  # pylint: disable=import-outside-toplevel
    tree = tmp_path / "configfs"
    tree.mkdir()
    fake = Configfs(tree)
    monkeypatch.setattr(node.CFSNode, "configfs_dir", fake.root)
    monkeypatch.setattr(os, "mkdir", fake.make)
    for module in (root, fabric):
        for name in ("mount_configfs", "modprobe"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda *_: None)
    tcm.bs_cache.clear()  # of the test before
    monkeypatch.setattr(tcm, "fwrite", fake.put)
    monkeypatch.setattr(tcm, "get_blockdev_type", lambda path: 0)
    monkeypatch.setattr(tcm, "is_dev_in_use", lambda path: False)
    return rtslib_fb


def maps(document):
    """What --map has to say so that volumes come back as they were."""
    return [w for name, v in document["volumes"].items() for w in ("--map", f"{name}={v['group']}/{name}" + (f"@{v['pool']}" if "pool" in v else "") +
                                                                       f",{v['size']}")]


def without(document, *keys):
    return {k: v for k, v in document.items() if k not in keys}


@pytest.mark.parametrize("name", ["plain", "parameters"])
def test_rtslib_restores_an_export_and_dumps_what_imports_as_the_same_document(rtslib, tmp_path, name):
    plain = os.path.join(CASES, f"{name}.json")
    done = lunward("export", "--format", "targetcli", "--document", plain)
    assert done.returncode == 0, done.stderr
    root = rtslib.RTSRoot()
    assert root.restore(json.loads(done.stdout)) == []
    dump = tmp_path / "saveconfig.json"
    dump.write_text(json.dumps(root.dump()))
    tpg = json.loads(dump.read_text())["targets"][0]["tpgs"][0]
    assert tpg["attributes"]["authentication"] == 1 and tpg["attributes"]["generate_node_acls"] == 0
    document = json.loads(read(plain))
    base = tmp_path / "base.json"
    base.write_text(json.dumps(without(document, "volumes", "targets", "hosts", "mappings", "discovery")))
    again = lunward("import", str(dump), "--document", str(base), *maps(document))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == document


def test_an_export_of_one_of_several_nodes(tmp_path):
    """A cluster: the own portal group and what the node has; notes for the rest; DRBD's minors come back."""
    case = os.path.join(CASES, "added.json")
    document = json.loads(read(case).replace("ASSIGNED", "5a5d9c0e-0000-4000-8000-000000000000"))
    del document["host_groups"]  # nothing that rtslib knows
    document["mappings"] = [m for m in document["mappings"] if "host" in m]
    document["hosts"] = {h: v for h, v in document["hosts"].items() if any(m["host"] == h for m in document["mappings"])}
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps(document))
    assert lunward("export", "--document", str(whole)).returncode == 4
    done = lunward("export", "--document", str(whole), "--node", "n1", "--format", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert [s["dev"] for s in answer["saveconfig"]["storage_objects"]] == ["/dev/drbd101", "/dev/vg1/lunward-lv3", "/dev/drbd100"]
    assert {p["ip_address"] for t in answer["saveconfig"]["targets"] for p in t["tpgs"][0]["portals"]} == {"10.77.0.1"}
    assert any("drbdadm primary lunward-g1" in n["text"] for n in answer["notes"])
    assert any(n["text"] == "portals of other nodes are not in it" for n in answer["notes"])
    other = lunward("export", "--document", str(whole), "--node", "n2")
    assert other.returncode == 1 and "here: left out: the group has no copy on node n2" in other.stderr
    assert lunward("export", "--document", str(whole), "--node", "n3").returncode == 4

    source = tmp_path / "saveconfig.json"
    source.write_text(json.dumps(answer["saveconfig"]))
    base = tmp_path / "base.json"
    base.write_text(json.dumps(without(document, "volumes", "hosts", "mappings")))
    again = json.loads(lunward("import", str(source), "--document", str(base), "--node", "n1", *maps(document)).stdout)
    for volume in (*again["volumes"].values(), *document["volumes"].values()):
        volume.pop("drbd_volume", None)  # not in the file, and nobody's but DRBD's
    assert again == document


def test_export_format():
    plain = os.path.join(CASES, "plain.json")
    assert lunward("export", "--document", plain).stdout == lunward("export", "--document", plain, "--format", "targetcli").stdout
    done = lunward("export", "--document", plain, "--format", "scst")
    assert done.returncode == 2 and "must be targetcli, text or json" in done.stderr
    assert lunward("status", "--format", "targetcli").returncode == 2


# --- host show -------------------------------------------------------------------------------------------------------------

HOSTS = ["esx1-4f2a", "web1", "win1.corp.example.org"]


@pytest.mark.parametrize("host", HOSTS)
def test_host_show(host):
    done = lunward("host", "show", host, "--document", os.path.join(CASES, "plain.json"))
    assert done.returncode == 0 and done.stderr == ""
    assert not any(s in done.stdout for s in (*SECRETS, "hidden-secret"))
    expect(f"host-{host}.txt", done.stdout)


SRP = os.path.join(ROOT, "tests/config-cases/good/12-srp.printed")


def test_host_show_of_srp():
    done = lunward("host", "show", "h2", "--document", SRP)
    assert done.returncode == 0, done.stderr
    expect("host-srp.txt", done.stdout)
    with open(SRP, encoding="utf-8") as f:
        native = f.read().replace('  "srp": {"rdma_cm_port": 5555},\n', "")
    assert "dgid=fe80000000000000505400fffe120101" in lunward("host", "show", "h2", "--document", "-", stdin=native).stdout


def test_an_export_of_srp_has_this_nodes_ports():
    done = lunward("export", "--document", SRP, "--node", "n2")
    assert done.returncode == 0, done.stderr
    targets = json.loads(done.stdout)["targets"]
    assert [(t["fabric"], t["wwn"]) for t in targets] == [("iscsi", "iqn.2026-11.org.example:t1"), ("srpt", "ib.fe80000000000000505400fffe120202")]
    acls = [[a["node_wwn"] for a in t["tpgs"][0]["node_acls"]] for t in targets]
    assert acls == [["iqn.2026-11.org.example:h1", "iqn.2026-11.org.example:h2"], ["ib.505400fffe120303505400fffe120303"]]
    assert targets[1]["tpgs"][0]["luns"] == [{"index": 0, "storage_object": "/backstores/block/v1"}]
    assert "rdma_cm_port" in done.stderr
    by_address = lunward("export", "--document", SRP.replace("12-srp", "13-srp-by-address"), "--node", "n2")
    assert [t["fabric"] for t in json.loads(by_address.stdout)["targets"]] == ["iscsi"] and "port ids only" in by_address.stderr


FC = SRP.replace("12-srp", "15-fc")


def test_fibre_channel_goes_out_and_comes_back(tmp_path):
    expect("host-fc.txt", lunward("host", "show", "h2", "--document", FC).stdout)
    done = lunward("export", "--document", FC, "--node", "n2")
    assert done.returncode == 0, done.stderr
    targets = json.loads(done.stdout)["targets"]
    assert [(t["fabric"], t["wwn"]) for t in targets] == [
        ("qla2xxx", "naa.21000024ff4a0202"), ("tcm_fc", "naa.2000525400120202"), ("iscsi", "iqn.2026-11.org.example:t1")]
    assert [[a["node_wwn"] for a in t["tpgs"][0]["node_acls"]] for t in targets[:2]] == [["naa.2000525400120303"]] * 2
    volumes = ["--map", "v1=g1,1GiB", "--map", "v2=g1,1GiB"]
    saved = tmp_path / "saveconfig.json"
    saved.write_text(done.stdout.replace("naa.21000024ff4a0202", "naa.21000024FF4A0202"))
    back = lunward("import", "--node", "n2", *volumes, str(saved))
    assert back.returncode == 1, back.stderr  # there are notes
    document = json.loads(back.stdout)
    assert document["targets"]["fc.imported"]["portals"] == [{"node": "n2", "wwpn": "21:00:00:24:ff:4a:02:02"}]
    assert document["targets"]["fcoe.imported"]["portals"] == [{"node": "n2", "wwpn": "20:00:52:54:00:12:02:02"}]
    assert "20:00:52:54:00:12:03:03" in sum((h["initiators"] for h in document["hosts"].values()), [])
    assert {m["target"] for m in document["mappings"] if "imported" in m["target"]} == {"fc.imported", "fcoe.imported"}
    saved.write_text(done.stdout.replace("naa.21000024ff4a0202", "naa.21000024ff4a02"))
    assert "not the WWPN of a port" in lunward("import", "--node", "n2", *volumes, str(saved)).stderr


def test_host_show_of_a_document_without_secrets(tmp_path):
    """What a member of group lunward can have: `config show` without --secrets."""
    hidden = tmp_path / "hidden.json"
    hidden.write_text(re.sub(r'("password": )"[^"]*"', r'\1"********"', read(os.path.join(CASES, "plain.json"))))
    assert lunward("host", "show", "web1", "--document", str(hidden)).stdout == read(os.path.join(CASES, "host-web1.txt"))
    done = lunward("host", "show", "web1", "--document", str(hidden), "--secrets")
    assert done.returncode == 4 and "stands for a hidden secret" in done.stderr


def test_host_files_at_their_places(tmp_path):
    plain = os.path.join(CASES, "plain.json")
    done = lunward("host", "show", "web1", "--document", plain, "--files", str(tmp_path), "--secrets")
    assert done.returncode == 0, done.stderr
    iscsid = tmp_path / "etc/iscsi/iscsid.conf"
    assert stat.S_IMODE(iscsid.stat().st_mode) == 0o600
    assert "node.session.auth.password = correct-horse-1\n" in iscsid.read_text()
    assert "node.session.auth.password_in = battery-staple-2\n" in iscsid.read_text()
    commands = (tmp_path / "commands").read_text()
    assert not any(s in commands for s in SECRETS)
    assert "-p 10.77.0.1:3260 -I default --login" in commands and "-p [fd00:77::1]:3260" in commands
    shown = json.loads(lunward("host", "show", "web1", "--document", plain, "--secrets", "--format", "json").stdout)
    assert {f["path"]: f["text"] for f in shown["files"] if f["path"].startswith("/")} == {
        "/" + str(p.relative_to(tmp_path)): p.read_text() for p in (tmp_path / "etc").rglob("*") if p.is_file()}


def test_host_unknown():
    done = lunward("host", "show", "web2", "--document", os.path.join(CASES, "plain.json"))
    assert done.returncode == 4 and 'no host "web2"; did you mean web1?' in done.stderr


def settings(text):
    """The lines that say something."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "{%"))]


def test_the_ansible_role_says_the_same():
    shown = json.loads(lunward("host", "show", "web1", "--document", os.path.join(CASES, "plain.json"), "--format", "json").stdout)
    files = {f["path"]: f["text"] for f in shown["files"]}
    assert settings(files["/etc/multipath/conf.d/lunward.conf"]) == settings(read(os.path.join(ROLE, "templates/multipath.conf.j2")))
    role = [line for line in settings(read(os.path.join(ROLE, "templates/iscsid.conf.j2"))) if ".auth." not in line]
    assert role == [line for line in settings(files["/etc/iscsi/iscsid.conf"]) if ".auth." not in line]
    rule = re.search(r"^\s*(ACTION==.*)$", read(os.path.join(ROLE, "tasks/main.yml")), re.M).group(1)
    assert settings(files["/etc/udev/rules.d/90-lunward-host.rules"]) == [rule]


if __name__ == "__main__":
    tap.main(__file__)
