# SPDX-License-Identifier: GPL-2.0-or-later
# Whole sites in the lab, each in virtual machines of its own; results in $(O)/pacemaker.json and $(O)/ansible.json.
.PHONY: lab-pacemaker lab-ansible
lab-pacemaker: deb lab-tools lab-image
	$(Q)tests/site/pacemaker

lab-ansible: deb lab-tools lab-image
	$(Q)tests/site/ansible
