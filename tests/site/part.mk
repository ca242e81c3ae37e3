# SPDX-License-Identifier: GPL-2.0-or-later
# Whole sites in the lab, each in virtual machines of its own; results in $(O)/pacemaker.json, ansible.json, upgrade.json, fabrics.json and takeover.json.
.PHONY: lab-pacemaker lab-ansible lab-upgrade lab-fabrics lab-takeover
lab-pacemaker: deb lab-tools lab-image
	$(Q)tests/site/pacemaker

lab-ansible: deb lab-tools lab-image
	$(Q)tests/site/ansible

lab-upgrade: deb lab-tools lab-image
	$(Q)tests/site/upgrade

lab-fabrics: deb lab-tools lab-image
	$(Q)tests/site/fabrics $(FABRICS)

lab-takeover: deb lab-tools lab-image
	$(Q)tests/site/takeover
