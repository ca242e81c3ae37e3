# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible collection without machines: the module against a `lunward` that only pretends, run by Ansible itself; the role `target`;
templates; ansible-lint.
"""
import json
import os
import subprocess

import pytest
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COLLECTION = os.path.join(ROOT, "ansible")
SECRET = "h1-secret-0123"

# Keeps what was applied, and says what changed: one line for each key that differs.
LUNWARD = """#!/usr/bin/python3
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
def path(name):
    return os.path.join(here, name)
if os.path.exists(path("refuse")):
    print(json.dumps({"error": {"errno": 22, "name": "EINVAL", "text": open(path("refuse")).read()}}))
    sys.exit(4)
new = json.load(sys.stdin)
with open(path("calls"), "a") as f:
    f.write(json.dumps({"argv": sys.argv[1:], "document": new}) + "\\n")
old = json.load(open(path("document"))) if os.path.exists(path("document")) else {}
changes = ["~ " + k for k in sorted(set(old) | set(new)) if old.get(k) != new.get(k)]
version = int(open(path("version")).read()) if os.path.exists(path("version")) else 0
if changes and "--dry-run" not in sys.argv:
    version += 1
    json.dump(new, open(path("document"), "w"))
    open(path("version"), "w").write(str(version))
print(json.dumps({"changes": changes, "config_version": version, "applied": "--dry-run" not in sys.argv}))
"""

# What happened, as one line of JSON behind a mark; ansible-core has no such callback of its own.
CALLBACK = """
import json
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "tell"
    def __init__(self):
        super().__init__()
        self.told = []
    def told_of(self, result, **_):
        self.told.append(json.loads(json.dumps(result._result, default=str)))
    v2_runner_on_ok = v2_runner_on_failed = v2_runner_on_skipped = told_of
    def v2_playbook_on_stats(self, stats):
        print("TOLD " + json.dumps({"stats": stats.summarize("localhost"), "tasks": self.told}))
"""

VARS = {
    "target_nodes": {"n1": {"id": 1}}, "target_groups": {"g1": {"backend": "local", "nodes": ["n1"]}},
    "target_hosts": {"h1": {"initiators": ["iqn.2026-11.org.example:h1"], "chap": {"user": "h1"}}},
    "target_secrets": {"hosts/h1/chap/password": SECRET},
}


class Site:
    """A folder with the collection where Ansible looks for it, and the pretender."""

    def __init__(self, folder):
        self.folder = str(folder)
        namespace = os.path.join(self.folder, "ansible_collections", "lunward")
        os.makedirs(namespace)
        os.symlink(COLLECTION, os.path.join(namespace, "san"))
        self.bin = os.path.join(self.folder, "bin")
        os.mkdir(self.bin)
        self.lunward = os.path.join(self.bin, "lunward")
        with open(self.lunward, "w", encoding="utf-8") as f:
            f.write(LUNWARD)
        os.chmod(self.lunward, 0o755)
        self.write("tell.py", CALLBACK)

    def env(self):
        return {"PATH": f"{self.bin}:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": self.folder,
                "ANSIBLE_COLLECTIONS_PATH": self.folder, "ANSIBLE_LOCAL_TEMP": self.folder, "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_REMOTE_TEMP": self.folder + "/tmp", "ANSIBLE_STDOUT_CALLBACK": "tell", "ANSIBLE_CALLBACK_PLUGINS": self.bin, "ANSIBLE_LOCALHOST_WARNING": "0",
                "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0", "PYTHONDONTWRITEBYTECODE": "1"}

    def play(self, tasks, *options, **variables):
        """Runs tasks on this machine; returns what Ansible says of them, and the whole output."""
        path = os.path.join(self.folder, "play.yml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks, "vars": variables}], f)
        done = subprocess.run(["ansible-playbook", "-i", "localhost,", *options, path], env=self.env(), capture_output=True, text=True,
                              timeout=180, check=False, cwd=self.folder)
        said = done.stdout + done.stderr
        told = next((json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("TOLD ")), None)
        assert told, said
        return told["stats"], told["tasks"], said

    def module(self, *options, **parameters):
        stats, tasks, said = self.play([{"lunward.san.lunward_config": parameters}], *options)
        return stats, tasks[0], said

    def calls(self):
        try:
            with open(os.path.join(self.bin, "calls"), encoding="utf-8") as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []

    def write(self, name, text):
        with open(os.path.join(self.bin, name), "w", encoding="utf-8") as f:
            f.write(text)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_module_applies_once(site):
    stats, result, _ = site.module(document={"lunward": 1, "nodes": {}})
    assert stats["failures"] == 0 and result["changed"] and result["plan"] == ["~ lunward", "~ nodes"] and result["config_version"] == 1
    stats, result, _ = site.module(document={"lunward": 1, "nodes": {}})
    assert stats["changed"] == 0 and result["plan"] == [] and result["config_version"] == 1
    assert [("--dry-run" in c["argv"]) for c in site.calls()] == [True, False, True]


def test_check_mode_shows_the_plan_and_changes_nothing(site):
    stats, result, _ = site.module("--check", "--diff", document={"lunward": 1})
    assert result["changed"] and result["plan"] == ["~ lunward"] and result["diff"] == {"prepared": "~ lunward\n"}
    assert all("--dry-run" in c["argv"] for c in site.calls()) and len(site.calls()) == 1
    assert not os.path.exists(os.path.join(site.bin, "document"))


def test_check_mode_on_a_bare_machine(site):
    os.remove(site.lunward)
    _, result, _ = site.module("--check", document={"lunward": 1})
    assert result["changed"] and "not installed yet" in result["plan"][0]
    stats, result, _ = site.module(document={"lunward": 1})
    assert stats["failures"] == 1 and "not installed" in result["msg"]


def test_secrets_get_into_the_document_and_nowhere_else(site):
    _, result, said = site.module("-vvv", "--diff", document={"hosts": {"h1": {"chap": {"user": "h1"}}}, "fencing": {"agent": "fence_x"}},
                                  secrets={"hosts/h1/chap/password": SECRET, "fencing/options/passwd": "fence-secret-1"})
    document = site.calls()[0]["document"]
    assert document["hosts"]["h1"]["chap"] == {"user": "h1", "password": SECRET}
    assert document["fencing"] == {"agent": "fence_x", "options": {"passwd": "fence-secret-1"}}
    assert SECRET not in said and "fence-secret-1" not in said
    assert all(SECRET not in word for c in site.calls() for word in c["argv"])
    assert "~ hosts" in result["plan"]


def test_secrets_of_fence_levels(site):
    site.module(document={"fencing": {"levels": [{"name": "bmc", "agent": "fence_x"}, {"name": "bar", "agent": "fence_y"}]},
                          "nodes": {"n1": {"fence": {"bar": {"plug": "1"}}}}},
                secrets={"fencing/levels/bar/options/passwd": SECRET, "nodes/n1/fence/bar/passwd": "another"})
    document = site.calls()[0]["document"]
    assert document["fencing"]["levels"] == [{"name": "bmc", "agent": "fence_x"},
                                             {"name": "bar", "agent": "fence_y", "options": {"passwd": SECRET}}]
    assert document["nodes"] == {"n1": {"fence": {"bar": {"plug": "1", "passwd": "another"}}}}


@pytest.mark.parametrize("document, secrets, text", [
    ({"fencing": {"levels": [{"name": "bmc", "options": {"passwd": "x"}}]}}, {}, "fencing/levels/bmc/options/passwd: is a secret"),
    ({"fencing": {"levels": [{"name": "bmc"}]}}, {"fencing/levels/bar/options/passwd": "x"}, "no object"),
    ({"fencing": {"levels": [{"name": "bmc"}]}}, {"fencing/levels/bar": "x"}, "names no object"),
    ({"nodes": {"n1": {"fence": {"bar": {"token": "x"}}}}}, {}, "nodes/n1/fence/bar/token: is a secret"),
    ({"hosts": {"h1": {"chap": {"password": "plain-password"}}}}, {}, "hosts/h1/chap/password: is a secret"),
    ({"fencing": {"options": {"passwd": "x"}}}, {}, "fencing/options/passwd: is a secret"),
    ({"hosts": {"h1": 5}}, {"hosts/h1/chap/password": "x"}, "no object"),
    ({"nodes": {"n1": {"fence": {"ip": "1"}}}}, {"nodes/n1/fence/ip": "x"}, "is in the document already"),
])
def test_wrong_parameters(site, document, secrets, text):
    stats, result, _ = site.module(document=document, secrets=secrets)
    assert stats["failures"] == 1 and text in result["msg"]
    assert site.calls() == []


def test_what_lunward_refuses_is_told(site):
    site.write("refuse", "groups.g1.nodes[1]: no node \"n9\" in nodes")
    stats, result, _ = site.module(document={"lunward": 1})
    assert stats["failures"] == 1 and result["msg"] == "lunward apply: groups.g1.nodes[1]: no node \"n9\" in nodes" and result["rc"] == 4


def target(site, *options, **variables):
    return site.play([{"ansible.builtin.include_role": {"name": "lunward.san.target"}}], *options, **variables)


def test_role_target_twice(site):
    stats, _, said = target(site, "--diff", **VARS)
    assert stats["failures"] == 0 and stats["changed"] == 1, said
    assert SECRET not in said
    document = site.calls()[-1]["document"]
    assert document["hosts"]["h1"]["chap"]["password"] == SECRET and document["lunward"] == 1 and "fencing" not in document
    stats, _, _ = target(site, **VARS)
    assert stats["failures"] == 0 and stats["changed"] == 0


def test_role_target_knows_its_arguments(site):
    stats, tasks, _ = target(site, **{k: v for k, v in VARS.items() if k != "target_groups"})
    assert stats["failures"] == 1 and "target_groups" in json.dumps(tasks)
    stats, tasks, _ = target(site, **{**VARS, "target_mappings": "all"})
    assert stats["failures"] == 1 and "target_mappings" in json.dumps(tasks)


@pytest.mark.parametrize("role", sorted(os.listdir(os.path.join(COLLECTION, "roles"))))
def test_argument_specs_and_defaults_agree(site, role):
    done = subprocess.run(["ansible-doc", "-t", "role", "--json", f"lunward.san.{role}"], env=site.env(), capture_output=True, text=True,
                          timeout=60, check=True)
    options = json.loads(done.stdout)[f"lunward.san.{role}"]["entry_points"]["main"]["options"]
    with open(os.path.join(COLLECTION, "roles", role, "defaults/main.yml"), encoding="utf-8") as f:
        defaults = yaml.safe_load(f)
    assert set(defaults) <= set(options)
    for name, option in options.items():
        assert option.get("description") and name.startswith(role + "_")
        if not option.get("required"):
            assert defaults[name] == option["default"], name


def render(site, role, template, **variables):
    path = os.path.join(site.folder, "rendered")
    stats, tasks, said = site.play([{"ansible.builtin.template": {"src": os.path.join(COLLECTION, "roles", role, "templates", template),
                                                                 "dest": path}}], **variables)
    assert stats["failures"] == 0, said
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_corosync_conf(site):
    text = render(site, "cluster", "corosync.conf.j2", cluster_name="c", cluster_token_ms=3000, cluster_qdevice_host="",
                  cluster_nodes=[{"name": "n2", "id": 2, "links": ["10.0.0.2", "10.1.0.2"]}, {"name": "n1", "id": 1, "links": ["10.0.0.1"]}])
    assert "crypto_cipher: aes256" in text and "crypto_hash: sha256" in text and "token: 3000" in text
    assert text.index("name: n1") < text.index("name: n2") and "ring1_addr: 10.1.0.2" in text and "device" not in text
    assert text.count("{") == text.count("}")
    text = render(site, "cluster", "corosync.conf.j2", cluster_name="c", cluster_token_ms=3000, cluster_qdevice_host="q", cluster_nodes=[])
    assert "host: q" in text and text.count("{") == text.count("}")


def test_pacemaker_xml_is_what_the_schema_wants(site):
    """By Pacemaker's own schema, in a CIB that is otherwise empty."""
    item = {"item": {"group": "g1"}}
    parts = [render(site, "target", name, item=item) for name in ("agent.xml.j2", "group.xml.j2")]
    parts.append(render(site, "cluster", "stonith.xml.j2", cluster_device={"id": "f1", "agent": "fence_x", "options": {"ip": "a&b"}}))
    cib = ('<cib validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources>'
           + "".join(parts) + '</resources><constraints><rsc_order id="o" kind="Mandatory" first="lunward-agent-clone" then="lunward-g1-clone"/>'
           '</constraints></configuration><status/></cib>')
    path = os.path.join(site.folder, "cib.xml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(cib)
    done = subprocess.run(["xmllint", "--noout", "--relaxng", "/usr/share/pacemaker/pacemaker-3.9.rng", path], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_iscsid_conf(site):
    text = render(site, "host", "iscsid.conf.j2", host_chap={}, host_chap_mutual={})
    assert "auth" not in text and "replacement_timeout = 5" in text
    text = render(site, "host", "iscsid.conf.j2", host_chap={"user": "u", "password": "p"}, host_chap_mutual={"user": "t", "password": "q"})
    assert "node.session.auth.password = p\n" in text and "node.session.auth.password_in = q\n" in text


def test_lint_at_the_production_profile(site):
    done = subprocess.run(["ansible-lint", "--offline", "--nocolor", "--profile", "production"], env=site.env(), capture_output=True, text=True,
                          timeout=300, check=False, cwd=os.path.join(site.folder, "ansible_collections/lunward/san"))
    assert done.returncode == 0 and "Passed with production profile: 0 failure(s)" in done.stdout + done.stderr, done.stdout + done.stderr
