#!/usr/bin/python
# SPDX-License-Identifier: GPL-2.0-or-later
"""Applies the cluster document of Lunward: what `lunward apply` says is what is returned."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: lunward_config
short_description: Apply the cluster document of Lunward
version_added: "1.0.0"
description:
  - Makes a document the configuration of a Lunward cluster, with C(lunward apply), and waits until the nodes have it in force.
  - One node of the cluster is enough.
  - In check mode, the plan is made and nothing is changed.
author:
  - Lunward developers (@lunward)
options:
  document:
    description:
      - The document, as in lunward.json(5), without passwords.
    type: dict
    required: true
  secrets:
    description:
      - Passwords and other secret values, put into the document at the path that is their name.
      - For example C(hosts/h1/chap/password) or C(fencing/options/password).
      - One of a list goes by its name, like C(fencing/levels/bmc/options/password).
    type: dict
    default: {}
  wait:
    description:
      - Wait until the nodes have it in force, not only until they have agreed on it.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait.
    type: int
    default: 900
  executable:
    description:
      - The command.
    type: str
    default: lunward
attributes:
  check_mode:
    description: Shows the plan and changes nothing.
    support: full
  diff_mode:
    description: The plan, line by line.
    support: full
"""

EXAMPLES = r"""
- name: Serve two volumes
  lunward.san.lunward_config:
    document: "{{ document }}"
    secrets:
      hosts/h1/chap/password: "{{ vault_h1_password }}"
  run_once: true
"""

RETURN = r"""
plan:
  description: What changes, or would change, one line each.
  returned: always
  type: list
  elements: str
  sample: ["+ volume v2: 1 TiB in group g1"]
config_version:
  description: Version of the document in force; in check mode the one that is.
  returned: success
  type: int
"""

import copy
import json

from ansible.module_utils.basic import AnsibleModule

SECRET_NAMES = ("pass", "secret", "token", "_key", "community")


def is_secret_path(path):
    """As lunward.json(5), SECRETS: passwords of hosts, and fence options that are named like one."""
    in_fence = path[0] == "fencing" or "fence" in path[:-1]
    return path[-1] == "password" or (in_fence and any(word in path[-1].lower() for word in SECRET_NAMES))


def secret_paths(value, path=()):
    """Paths of values that are secret by their names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            for found in secret_paths(inner, path + (str(key),)):
                yield found
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            name = inner.get("name", index) if isinstance(inner, dict) else index
            for found in secret_paths(inner, path + (str(name),)):
                yield found
    elif path and is_secret_path(path) and isinstance(value, str):
        yield path


def insert(document, path, value):
    """Puts value at path; the objects on the way must be there or are made, but nothing is replaced. One of a list goes by its name."""
    at = document
    keys = path.split("/")
    for key in keys[:-1]:
        if isinstance(at, list):
            at = next((inner for inner in at if isinstance(inner, dict) and inner.get("name") == key), None)
        else:
            at = at.setdefault(key, {})
        if not isinstance(at, (dict, list)):
            raise ValueError("%s: %s is no object in the document" % (path, key))
    if isinstance(at, list):
        raise ValueError("%s: names no object in a list" % path)
    if keys[-1] in at:
        raise ValueError("%s: is in the document already" % path)
    at[keys[-1]] = value


def complete(document, secrets):
    """The document with its secrets."""
    for path in secret_paths(document):
        raise ValueError("%s: is a secret: it belongs into the parameter secrets" % "/".join(path))
    whole = copy.deepcopy(document)
    for path in sorted(secrets):
        insert(whole, path, secrets[path])
    return whole


def error_text(out, err):
    """What lunward said, in the place where a program reads it."""
    try:
        return json.loads(out)["error"]["text"]
    except (ValueError, KeyError, TypeError):
        return err.strip() or out.strip() or "lunward failed and said nothing"


class Lunward:
    def __init__(self, module):
        self.module = module
        self.path = module.get_bin_path(module.params["executable"])

    def apply(self, text, dry_run):
        argv = [self.path, "apply", "-", "--format", "json", "--timeout", str(self.module.params["timeout"])]
        argv += ["--dry-run"] if dry_run else []
        argv += [] if dry_run or self.module.params["wait"] else ["--no-wait"]
        code, out, err = self.module.run_command(argv, data=text, binary_data=True)
        if code != 0:
            self.module.fail_json(msg="lunward apply: " + error_text(out, err), rc=code, plan=[])
        return json.loads(out)


def main():
    module = AnsibleModule(
        argument_spec={
            "document": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 900},
            "executable": {"type": "str", "default": "lunward"},
        },
        supports_check_mode=True,
    )
    try:
        text = json.dumps(complete(module.params["document"], module.params["secrets"]), sort_keys=True)
    except ValueError as e:
        module.fail_json(msg=str(e), plan=[])
    lunward = Lunward(module)
    if not lunward.path:
        if not module.check_mode:
            module.fail_json(msg="lunward is not installed on this node: see the role lunward.san.storage", plan=[])
        # A bare machine in check mode: all of it would be new.
        module.exit_json(changed=True, plan=["+ everything: lunward is not installed yet"], config_version=0)
    # The plan first: the version that it was made for is of use to the reader even if the change then fails.
    done = lunward.apply(text, True)
    plan = done["changes"]
    if plan and not module.check_mode:
        done = lunward.apply(text, False)
        plan = done["changes"]
    result = {"changed": bool(plan), "plan": plan, "config_version": done["config_version"]}
    if module._diff:
        result["diff"] = {"prepared": "".join(line + "\n" for line in plan)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
